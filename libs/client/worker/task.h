// What a task handler sees: its arguments, what it returns, and the context of one attempt.
//
//   Async<absl::StatusOr<TaskResult>> Thumbnail(const TaskArgs& args, TaskContext& context) {
//     context.Progress(10, "decoding");
//     ...
//     if (context.cancelled()) co_return absl::CancelledError("asked to stop");
//     co_return result;
//   }
//
// Errors: a handler reports by its status. See failure.h for which codes are tried again.
//
// Thread safety: Progress, cancelled, cancel_token and OnCancel may be called from any thread, as
// long as the handler has not returned. A handler blocks none of the executor's threads.
#ifndef LIBS_CLIENT_WORKER_TASK_H_
#define LIBS_CLIENT_WORKER_TASK_H_

#include <cstdint>
#include <functional>
#include <list>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/struct.pb.h"
#include "libs/async/async.h"
#include "libs/async/scope.h"
#include "libs/sync/mutex.h"
#include "slipstream/task_queue/v1/task.pb.h"
#include "slipstream/task_queue/v1/task_type.pb.h"
#include "slipstream/task_queue/v1/worker.pb.h"

namespace slipstream::worker_client {

using TaskArgs = google::protobuf::Struct;

struct TaskResult {
  google::protobuf::Struct value;                      // at most kMaxResultBytes serialized
  std::vector<task_queue::v1::ArtifactRef> artifacts;  // uploaded for the owner; at most 32
  task_queue::v1::TaskUsage usage;
};

inline constexpr size_t kMaxResultBytes = 256 << 10;
inline constexpr int kMaxArtifactsCount = 32;
inline constexpr size_t kMaxProgressMessageBytes = 512;

// What the queue says about one attempt; the arguments apart.
struct TaskInfo {
  std::string task_id;
  std::string task_type;  // never an alias
  int64_t lease_epoch = 0;
  int attempt = 1;  // from 1
  int max_attempts = 1;
  absl::Time deadline = absl::InfiniteFuture();
  std::string owner;
  std::string tenant;          // empty for none
  std::string correlation_id;  // of the submit
  std::string traceparent;     // of the submit; empty for none
};

TaskInfo InfoOf(const task_queue::v1::WorkResponse::Assignment& assignment);

// Why a running task is told to stop; the queue's words and one of the worker's own.
inline constexpr std::string_view kCancelled = "CANCELLED";
inline constexpr std::string_view kDeadlineExceeded = "DEADLINE_EXCEEDED";
inline constexpr std::string_view kStaleLease = "STALE_LEASE";
inline constexpr std::string_view kDrain = "DRAIN";

class TaskContext {
 public:
  using ProgressSink = std::function<void(int percent, std::string_view message)>;

  // The worker makes it for each attempt; a handler's test makes its own.
  explicit TaskContext(TaskInfo info, ProgressSink progress = {});
  TaskContext(const TaskContext&) = delete;
  TaskContext& operator=(const TaskContext&) = delete;

  const TaskInfo& info() const { return info_; }
  const std::string& task_id() const { return info_.task_id; }
  const std::string& owner() const { return info_.owner; }
  const std::string& tenant() const { return info_.tenant; }
  const std::string& correlation_id() const { return info_.correlation_id; }
  const std::string& traceparent() const { return info_.traceparent; }
  int attempt() const { return info_.attempt; }
  absl::Time deadline() const { return info_.deadline; }

  // How far the attempt is: 0-100, lower than before counts as before. Costs little: only the
  // latest is sent, and no more often than WorkerOptions::progress_interval.
  void Progress(int percent, std::string_view message);

  // True once the result is no longer wanted: return soon, with any status.
  bool cancelled() const { return stop_.stop_requested(); }
  std::stop_token cancel_token() const { return stop_.get_token(); }
  // kCancelled, kDeadlineExceeded, kStaleLease or kDrain; empty while not cancelled.
  std::string cancel_reason() const;
  // Runs `callback` once, on the thread that cancels; at once when that has happened already. It
  // must neither block nor throw.
  void OnCancel(std::function<void()> callback);
  // Waits without blocking; false when cancelled before the time was over.
  Async<bool> SleepFor(absl::Duration duration);

  // For the worker and for tests. The first reason stays.
  void Cancel(std::string_view reason);

 private:
  const TaskInfo info_;
  const ProgressSink progress_;
  std::stop_source stop_;
  async::Scope sleeper_{Executor()};  // only for its sleep that ends early; spawns nothing
  mutable sync::Mutex mutex_;
  std::string reason_ ABSL_GUARDED_BY(mutex_);
  // A list: callbacks neither move nor copy.
  std::list<std::stop_callback<std::function<void()>>> callbacks_ ABSL_GUARDED_BY(mutex_);
};

using TaskHandler =
    std::function<Async<absl::StatusOr<TaskResult>>(const TaskArgs& args, TaskContext& context)>;

// For a handler of microseconds that waits for nothing, which makes a coroutine of its own cost
// more than its work. It runs on the worker's own loop: while it runs, no message of the queue is
// read, cancels included.
using InlineHandler =
    std::function<absl::StatusOr<TaskResult>(const TaskArgs& args, TaskContext& context)>;

// A type that the worker announces, and what runs it: one of the two handlers. Aliases belong to
// the type.
struct TaskRegistration {
  task_queue::v1::TaskType type;
  TaskHandler handler;
  InlineHandler inline_handler = nullptr;
};

}  // namespace slipstream::worker_client

#endif  // LIBS_CLIENT_WORKER_TASK_H_
