// Between artifact.v1.Artifact and the record.
#ifndef SERVICES_TASK_QUEUE_ARTIFACT_ARTIFACT_PROTO_H_
#define SERVICES_TASK_QUEUE_ARTIFACT_ARTIFACT_PROTO_H_

#include "libs/timestamp/timestamp.h"
#include "services/task_queue/artifact/artifact.h"
#include "slipstream/artifact/v1/artifact.pb.h"

namespace slipstream::artifact {

inline void ToProto(const ArtifactRecord& record, v1::Artifact* out) {
  out->set_artifact_id(record.artifact_id);
  out->set_name(record.name);
  out->set_content_type(record.content_type);
  out->set_size_bytes(record.size_bytes);
  out->set_sha256(record.sha256);
  out->set_owner(record.owner);
  out->set_tenant(record.tenant);
  out->set_task_id(record.task_id);
  *out->mutable_created_at() = timestamp::FromTime(record.created_at);
  *out->mutable_expires_at() = timestamp::FromTime(record.expires_at);
}

inline ArtifactRecord FromProto(const v1::Artifact& artifact) {
  ArtifactRecord record;
  record.artifact_id = artifact.artifact_id();
  record.name = artifact.name();
  record.content_type = artifact.content_type();
  record.size_bytes = artifact.size_bytes();
  record.sha256 = artifact.sha256();
  record.owner = artifact.owner();
  record.tenant = artifact.tenant();
  record.task_id = artifact.task_id();
  record.created_at = timestamp::ToTime(artifact.created_at());
  record.expires_at = timestamp::ToTime(artifact.expires_at());
  return record;
}

}  // namespace slipstream::artifact

#endif  // SERVICES_TASK_QUEUE_ARTIFACT_ARTIFACT_PROTO_H_
