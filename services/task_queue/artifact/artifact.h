// What the artifact service knows of a file.
#ifndef SERVICES_TASK_QUEUE_ARTIFACT_ARTIFACT_H_
#define SERVICES_TASK_QUEUE_ARTIFACT_ARTIFACT_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace slipstream::artifact {

struct ArtifactRecord {
  std::string artifact_id;
  std::string name;
  std::string content_type;
  int64_t size_bytes = 0;
  std::string sha256;  // 64 lower-case hex digits
  std::string owner;
  std::string tenant;
  std::string task_id;
  absl::Time created_at;
  absl::Time expires_at;
};

}  // namespace slipstream::artifact

#endif  // SERVICES_TASK_QUEUE_ARTIFACT_ARTIFACT_H_
