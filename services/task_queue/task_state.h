// The life of a task as pure functions: the only place that decides which change is allowed and
// what it does to the record. Every store applies exactly these.
//
//   SCHEDULED -> PENDING -> RUNNING -> SUCCEEDED
//        ^          ^          |-----> FAILED
//        |          |----------|  (released, or its worker was lost)
//        |---------------------|  (another attempt is due)
//   any but a final one -> CANCELLED;  PENDING -> EXPIRED;  FAILED, CANCELLED, EXPIRED -> PENDING
//   by a restart;  PENDING -> SCHEDULED by a debounce.
//
// A refused change leaves the record untouched. Errors: FAILED_PRECONDITION with reason
// INVALID_TRANSITION, TASK_FINISHED or STALE_LEASE.
//
// Thread safety: pure functions.
#ifndef SERVICES_TASK_QUEUE_TASK_STATE_H_
#define SERVICES_TASK_QUEUE_TASK_STATE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "services/task_queue/task.h"

namespace slipstream::task_queue::task_state {

inline constexpr char kInvalidTransition[] = "INVALID_TRANSITION";
inline constexpr char kTaskFinished[] = "TASK_FINISHED";
inline constexpr char kStaleLease[] = "STALE_LEASE";
inline constexpr char kDeadlineExceeded[] = "DEADLINE_EXCEEDED";
inline constexpr char kWorkerLost[] = "WORKER_LOST";
inline constexpr char kCancelled[] = "CANCELLED";
inline constexpr char kExpired[] = "EXPIRED";
inline constexpr char kDependencyFailed[] = "DEPENDENCY_FAILED";

// A lost worker costs a task no attempt, but after so many in a row the task itself is the suspect.
// Not few: a lease ends too when the server in between stands still, and a bad quarter of a minute
// of servers and workers has cost a blameless task five.
inline constexpr int kMaxLostLeasesCount = 10;

struct RetryPolicy {
  absl::Duration base =
      absl::Seconds(1);  // before the second attempt; doubled for each further one
  absl::Duration max = absl::Minutes(5);
};

struct Success {
  Bytes result;
  std::vector<TaskArtifact> artifacts;
  std::optional<TaskUsage> usage;
};

struct Failure {
  TaskFailure failure;
  absl::Duration retry_after;  // least wait; zero: by backoff alone
  std::optional<TaskUsage> usage;
  // Evenly distributed in [0, 1): the caller's randomness, so that this file has none.
  double jitter = 0;
  bool by_worker = true;  // false: the queue's own verdict, such as a deadline
};

bool IsFinal(TaskStatus status);
bool Allowed(TaskStatus from, TaskStatus to);

// `waits_for`: those of its dependencies that have not SUCCEEDED yet; none of them has ended
// otherwise.
TaskRecord Create(const NewTask& task, absl::Time now, std::vector<std::string> waits_for = {});
// A waiting task gets the arguments and the start time of a later submit with its unique key.
absl::Status Debounce(TaskRecord& task, const NewTask& newer, absl::Time now);

// One of the tasks it waits for has SUCCEEDED; SCHEDULED -> PENDING with the last one, when its
// own time has come. Telling it twice changes nothing. False: it did not wait for that one.
bool DependencySucceeded(TaskRecord& task, std::string_view dependency_id, absl::Time now);
// One of the tasks it waits for has ended otherwise: SCHEDULED -> CANCELLED. Refused when it does
// not wait for that one (any more).
absl::Status DependencyFailed(TaskRecord& task, std::string_view dependency_id, absl::Time now);

// SCHEDULED -> PENDING, its time has come.
absl::Status MakeReady(TaskRecord& task, absl::Time now);
// PENDING -> RUNNING under a new epoch.
absl::Status Lease(TaskRecord& task, std::string_view session_id, absl::Time now);

// OK when `session_id` holds the task under `epoch`. The one fence before every report.
absl::Status CheckLease(const TaskRecord& task, std::string_view session_id, int64_t epoch);
// True when this very report was accepted before under this epoch: repeating it is no error.
bool AlreadyReported(const TaskRecord& task, int64_t epoch, ReportKind kind);

// The four below require CheckLease.
absl::Status Progress(TaskRecord& task, int percent, std::string message);
absl::Status Succeed(TaskRecord& task, Success success, absl::Time now);
// RUNNING -> SCHEDULED when it may have another attempt, else FAILED.
absl::Status FailAttempt(TaskRecord& task, const Failure& failure, const RetryPolicy& policy,
                         absl::Time now);
// What FailAttempt is told of an attempt that is over its deadline.
Failure Overdue(const TaskRecord& task, double jitter);
// RUNNING -> PENDING, undone, at its old place in the order; costs no attempt.
absl::Status Release(TaskRecord& task);

// RUNNING -> PENDING because its session is gone; FAILED after kMaxLostLeasesCount in a row.
absl::Status LoseLease(TaskRecord& task, absl::Time now);
// Any but a final status -> CANCELLED.
absl::Status Cancel(TaskRecord& task, std::string message, absl::Time now);
// PENDING -> EXPIRED.
absl::Status Expire(TaskRecord& task, absl::Time now);
// FAILED, CANCELLED or EXPIRED -> PENDING, attempts counted anew.
absl::Status Restart(TaskRecord& task, absl::Time now);

// When the task changes by time alone: due, expired, over its deadline, or to be forgotten;
// InfiniteFuture when never.
absl::Time NextDeadline(const TaskRecord& task);

// base * 2^(attempt - 1), at most max, then between half and all of it by jitter; never under
// `least`. (AWS Architecture Blog, "Exponential Backoff And Jitter": equal jitter.)
absl::Duration RetryDelay(int attempt, const RetryPolicy& policy, double jitter,
                          absl::Duration least);

// notification.v1.Event.type for a record that has just changed its status or progress.
std::string_view EventType(const TaskRecord& task);

}  // namespace slipstream::task_queue::task_state

#endif  // SERVICES_TASK_QUEUE_TASK_STATE_H_
