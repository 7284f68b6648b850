// Whole files to and from the artifact service, in chunks.
//
// `call` says on whose behalf (CallOptions::act_as_user); its timeout is for the whole transfer. A
// triggered `cancel` ends the transfer with CANCELLED.
//
// Thread safety: from any coroutine. Errors: those of the RPCs (see artifact.proto);
// INVALID_ARGUMENT for a download larger than `max_bytes`.
#ifndef SERVICES_WORKER_ARTIFACT_TRANSFER_H_
#define SERVICES_WORKER_ARTIFACT_TRANSFER_H_

#include <cstddef>
#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "libs/async/async.h"
#include "libs/rpc/call_options.h"
#include "services/worker/handlers/seams.h"

namespace grpc {
class Channel;
}

namespace slipstream::worker {

inline constexpr size_t kArtifactChunkBytes = 256 << 10;

Async<absl::StatusOr<task_queue::v1::ArtifactRef>> SendArtifact(
    std::shared_ptr<grpc::Channel> channel, rpc::CallOptions call, std::string task_id,
    ArtifactFile file, std::stop_token cancel);

Async<absl::StatusOr<ArtifactFile>> FetchArtifact(std::shared_ptr<grpc::Channel> channel,
                                                  rpc::CallOptions call, std::string artifact_id,
                                                  size_t max_bytes, std::stop_token cancel);

}  // namespace slipstream::worker

#endif  // SERVICES_WORKER_ARTIFACT_TRANSFER_H_
