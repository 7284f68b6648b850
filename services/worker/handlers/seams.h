// What the worker's task handlers need from outside: small functions, so that a handler is tested
// without a server and knows nothing of gRPC.
//
// Thread safety: the functions may be called from any coroutine. Arguments are by value: a
// coroutine outlives its caller's temporaries. Errors: handlers return INVALID_ARGUMENT for
// arguments that will never work, CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, or what a seam
// returned.
#ifndef SERVICES_WORKER_HANDLERS_SEAMS_H_
#define SERVICES_WORKER_HANDLERS_SEAMS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/struct.pb.h"
#include "libs/async/async.h"
#include "slipstream/task_queue/v1/task.pb.h"

namespace slipstream::worker {

// Percent (0-100, never falling) and what is being done. Called from any thread, one call at a
// time, never after the handler has returned.
using Progress = std::function<void(int percent, std::string_view message)>;

// One attempt at one task.
struct TaskContext {
  std::string task_id;
  Progress progress;       // may be empty
  std::stop_token cancel;  // a cancelled task, a lost lease, or the attempt's deadline
};

struct TaskOutput {
  google::protobuf::Struct result;  // at most 256 KiB serialized
  std::vector<task_queue::v1::ArtifactRef> artifacts;
};

// Answers of language models, kept as cache type llm_response in the task owner's scope.
using CacheGet = std::function<Async<absl::StatusOr<std::optional<std::string>>>(std::string key)>;
using CacheSet = std::function<Async<absl::Status>(std::string key, std::string value)>;

struct ArtifactFile {
  std::string name;  // 1-255 bytes, no path
  std::string content_type;
  std::string bytes;
};
// Keeps a file for the task's owner; the reference's id is the artifact's.
using UploadArtifact =
    std::function<Async<absl::StatusOr<task_queue::v1::ArtifactRef>>(ArtifactFile)>;
// Reads a file as the task's owner. NOT_FOUND for another's; more than `max_bytes` is
// RESOURCE_EXHAUSTED or INVALID_ARGUMENT.
using DownloadArtifact =
    std::function<Async<absl::StatusOr<ArtifactFile>>(std::string artifact_id, size_t max_bytes)>;

// What is worth a line in the log and no failure (the cache is away).
using Warn = std::function<void(std::string_view)>;

}  // namespace slipstream::worker

#endif  // SERVICES_WORKER_HANDLERS_SEAMS_H_
