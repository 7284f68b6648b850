// What the queue knows of a task, independent of protos and stores.
//
// Arguments and results are opaque bytes here (a serialized google.protobuf.Struct): they are
// checked at submit and shown on request, but no step of a task's life looks into them.
//
// Thread safety: plain values. Bytes are shared and never changed, so copying a record is cheap.
#ifndef SERVICES_TASK_QUEUE_TASK_H_
#define SERVICES_TASK_QUEUE_TASK_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace slipstream::task_queue {

// Same numbers as task_queue.v1.Task.Status.
enum class TaskStatus {
  kScheduled = 1,
  kPending = 2,
  kRunning = 3,
  kSucceeded = 4,
  kFailed = 5,
  kCancelled = 6,
  kExpired = 7,
};
inline constexpr int kTaskStatusCount = 8;  // 0 is not a status

// Same numbers as task_queue.v1.Task.Priority.
enum class TaskPriority { kLow = 1, kNormal = 2, kHigh = 3, kUrgent = 4 };
inline constexpr std::array<TaskPriority, 4> kPriorities = {
    TaskPriority::kUrgent, TaskPriority::kHigh, TaskPriority::kNormal, TaskPriority::kLow};

std::string_view StatusName(TaskStatus status);
std::string_view PriorityName(TaskPriority priority);

// What a worker said last about a lease; repeating it is no error, saying something else is stale.
enum class ReportKind { kNone, kSuccess, kFailure, kRelease };

using Bytes = std::shared_ptr<const std::string>;
inline Bytes MakeBytes(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}
inline int64_t SizeOf(const Bytes& bytes) {
  return bytes == nullptr ? 0 : static_cast<int64_t>(bytes->size());
}

struct TaskFailure {
  std::string reason;  // UPPER_SNAKE_CASE
  std::string message;
  bool retryable = false;
};

struct TaskArtifact {
  std::string artifact_id;
  std::string name;
  std::string content_type;
  int64_t size_bytes = 0;
};

struct TaskUsage {
  int64_t cost_usd_micros = 0;
  int64_t input_tokens = 0;
  int64_t output_tokens = 0;
};

// Same numbers as task_queue.v1.SubmitTaskRequest.UniquePolicy.
enum class UniquePolicy { kReject = 1, kReplace = 2, kDebounce = 3 };

// A submit that has passed every check; what a store is given.
struct NewTask {
  std::string task_id;
  std::string task_type;  // never an alias
  TaskPriority priority = TaskPriority::kNormal;
  Bytes args;
  std::string owner;
  std::string tenant;
  std::string correlation_id;
  std::string traceparent;  // W3C trace context of the submit; may be empty
  std::string request_id;   // idempotency key within (owner, tenant); empty for none
  std::string
      fingerprint;  // of the submit's content: another content under a request id is refused
  std::optional<absl::Time> run_at;
  absl::Duration expires_in = absl::InfiniteDuration();  // from ready to first start
  int max_attempts = 1;
  absl::Duration attempt_deadline = absl::Minutes(5);
  absl::Duration result_ttl = absl::Hours(1);
  std::map<std::string, std::string> labels;
  std::string unique_key;  // of one unfinished task of (owner, tenant) at most; empty for none
  UniquePolicy unique_policy = UniquePolicy::kReject;
  std::string concurrency_key;          // one at a time within the tenant; empty for none
  std::vector<std::string> depends_on;  // ids of the same owner's tasks, each once
};

struct TaskRecord {
  std::string task_id;
  std::string task_type;
  TaskStatus status = TaskStatus::kPending;
  TaskPriority priority = TaskPriority::kNormal;
  int progress = 0;  // percent
  std::string progress_message;
  Bytes args;
  Bytes result;  // null unless SUCCEEDED
  std::optional<TaskFailure> error;
  int attempt = 0;
  int max_attempts = 1;
  std::string owner;
  std::string tenant;
  std::string correlation_id;
  std::string traceparent;
  std::map<std::string, std::string> labels;
  std::vector<TaskArtifact> artifacts;
  std::optional<TaskUsage> usage;
  std::string unique_key;
  std::string concurrency_key;
  std::vector<std::string> depends_on;  // as submitted
  std::vector<std::string> waits_for;   // those of depends_on that have not yet SUCCEEDED

  absl::Time created_at;
  // When it became, or becomes, PENDING: its wait counts from here. InfiniteFuture while it waits
  // for other tasks.
  absl::Time ready_at;
  std::optional<absl::Time> run_at;
  std::optional<absl::Time> next_run_at;
  std::optional<absl::Time> started_at;
  std::optional<absl::Time> finished_at;
  absl::Time expires_at =
      absl::InfiniteFuture();  // before the end: unless started; after: forgotten

  absl::Duration expires_in = absl::InfiniteDuration();
  absl::Duration attempt_deadline;
  absl::Duration result_ttl;

  // The lease. The epoch grows with each lease and never goes back, so that whoever lost one can't
  // report under it any more.
  int64_t lease_epoch = 0;
  std::string session_id;  // empty unless RUNNING
  absl::Time attempt_deadline_at = absl::InfiniteFuture();
  int64_t reported_epoch = 0;  // last epoch under which a final report was accepted, and which
  ReportKind reported_kind = ReportKind::kNone;
  int lost_leases_count = 0;  // in a row; bounded, so that a task that kills its workers ends

  int64_t version = 0;  // grows with every change; names the change in the outbox
  bool durable = true;  // false: kept in the memory of one process alone
};

// What a worker session is given to run.
struct Lease {
  TaskRecord task;  // as leased
};

// One change of state on its way to the owner. `sequence` orders the store's outbox.
struct OutboxEntry {
  int64_t sequence = 0;
  std::string type;  // "task_started", ... as notification.v1.Event.type
  std::string idempotency_key;
  TaskRecord task;  // as of the change, without arguments and result
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_TASK_H_
