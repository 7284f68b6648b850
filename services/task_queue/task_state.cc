#include "services/task_queue/task_state.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::task_queue {

std::string_view StatusName(TaskStatus status) {
  switch (status) {
    case TaskStatus::kScheduled:
      return "SCHEDULED";
    case TaskStatus::kPending:
      return "PENDING";
    case TaskStatus::kRunning:
      return "RUNNING";
    case TaskStatus::kSucceeded:
      return "SUCCEEDED";
    case TaskStatus::kFailed:
      return "FAILED";
    case TaskStatus::kCancelled:
      return "CANCELLED";
    case TaskStatus::kExpired:
      return "EXPIRED";
  }
  return "STATUS_UNSPECIFIED";
}

std::string_view PriorityName(TaskPriority priority) {
  switch (priority) {
    case TaskPriority::kLow:
      return "LOW";
    case TaskPriority::kNormal:
      return "NORMAL";
    case TaskPriority::kHigh:
      return "HIGH";
    case TaskPriority::kUrgent:
      return "URGENT";
  }
  return "PRIORITY_UNSPECIFIED";
}

namespace task_state {

namespace {

absl::string_view Name(TaskStatus status) {
  const std::string_view name = StatusName(status);
  return {name.data(), name.size()};
}

absl::Status Refused(const TaskRecord& task, TaskStatus to) {
  if (IsFinal(task.status)) {
    return status::Error(
        absl::StatusCode::kFailedPrecondition, kTaskFinished,
        absl::StrCat("task ", task.task_id, " has already ended as ", Name(task.status)),
        {{"status", std::string(StatusName(task.status))}});
  }
  return status::Error(absl::StatusCode::kFailedPrecondition, kInvalidTransition,
                       absl::StrCat("task ", task.task_id, " is ", Name(task.status),
                                    " and can't become ", Name(to)));
}

// The one assignment of a status. Whatever held in the old one and does not in the new ends here.
absl::Status Move(TaskRecord& task, TaskStatus to, absl::Time now) {
  if (!Allowed(task.status, to)) return Refused(task, to);
  if (task.status == TaskStatus::kRunning) {
    task.session_id.clear();
    task.attempt_deadline_at = absl::InfiniteFuture();
  }
  task.status = to;
  task.next_run_at.reset();
  if (IsFinal(to)) {
    task.finished_at = now;
    task.expires_at = now + task.result_ttl;
  }
  ++task.version;
  return absl::OkStatus();
}

void Wait(TaskRecord& task, absl::Time ready_at) {
  task.ready_at = ready_at;
  // Expiry is for tasks that never started; a retry is owed to the submitter.
  task.expires_at = task.started_at ? absl::InfiniteFuture() : ready_at + task.expires_in;
}

// When a task that has not started yet may start, as far as is known.
absl::Time ReadyAt(const TaskRecord& task, absl::Time now) {
  if (!task.waits_for.empty()) return absl::InfiniteFuture();
  return task.run_at ? std::max(*task.run_at, now) : now;
}

void NoteReport(TaskRecord& task, ReportKind kind) {
  task.reported_epoch = task.lease_epoch;
  task.reported_kind = kind;
  task.lost_leases_count = 0;  // its worker lived to tell
}

void Add(std::optional<TaskUsage>& total, const std::optional<TaskUsage>& part) {
  if (!part) return;
  if (!total) total.emplace();
  total->cost_usd_micros += part->cost_usd_micros;
  total->input_tokens += part->input_tokens;
  total->output_tokens += part->output_tokens;
}

}  // namespace

bool IsFinal(TaskStatus status) {
  return status == TaskStatus::kSucceeded || status == TaskStatus::kFailed ||
         status == TaskStatus::kCancelled || status == TaskStatus::kExpired;
}

bool Allowed(TaskStatus from, TaskStatus to) {
  switch (from) {
    case TaskStatus::kScheduled:
      return to == TaskStatus::kPending || to == TaskStatus::kCancelled;
    case TaskStatus::kPending:
      return to == TaskStatus::kRunning || to == TaskStatus::kCancelled ||
             to == TaskStatus::kExpired || to == TaskStatus::kScheduled;
    case TaskStatus::kRunning:
      return to == TaskStatus::kSucceeded || to == TaskStatus::kFailed ||
             to == TaskStatus::kCancelled || to == TaskStatus::kScheduled ||
             to == TaskStatus::kPending;
    case TaskStatus::kFailed:
    case TaskStatus::kCancelled:
    case TaskStatus::kExpired:
      return to == TaskStatus::kPending;  // a restart
    case TaskStatus::kSucceeded:
      return false;
  }
  return false;
}

TaskRecord Create(const NewTask& task, absl::Time now, std::vector<std::string> waits_for) {
  TaskRecord record;
  record.task_id = task.task_id;
  record.task_type = task.task_type;
  record.priority = task.priority;
  record.args = task.args;
  record.max_attempts = task.max_attempts;
  record.owner = task.owner;
  record.tenant = task.tenant;
  record.correlation_id = task.correlation_id;
  record.traceparent = task.traceparent;
  record.labels = task.labels;
  record.created_at = now;
  record.run_at = task.run_at;
  record.expires_in = task.expires_in;
  record.attempt_deadline = task.attempt_deadline;
  record.result_ttl = task.result_ttl;
  record.unique_key = task.unique_key;
  record.concurrency_key = task.concurrency_key;
  record.depends_on = task.depends_on;
  record.waits_for = std::move(waits_for);
  record.version = 1;
  const absl::Time ready_at = ReadyAt(record, now);
  record.status = ready_at > now ? TaskStatus::kScheduled : TaskStatus::kPending;
  Wait(record, ready_at);
  return record;
}

absl::Status Debounce(TaskRecord& task, const NewTask& newer, absl::Time now) {
  if (task.status != TaskStatus::kPending && task.status != TaskStatus::kScheduled) {
    return Refused(task, TaskStatus::kPending);
  }
  task.args = newer.args;
  task.run_at = newer.run_at;
  task.next_run_at.reset();
  const absl::Time ready_at = ReadyAt(task, now);
  task.status = ready_at > now ? TaskStatus::kScheduled : TaskStatus::kPending;
  Wait(task, ready_at);
  ++task.version;
  return absl::OkStatus();
}

bool DependencySucceeded(TaskRecord& task, std::string_view dependency_id, absl::Time now) {
  auto it = std::find(task.waits_for.begin(), task.waits_for.end(), dependency_id);
  if (it == task.waits_for.end() || task.status != TaskStatus::kScheduled) return false;
  task.waits_for.erase(it);
  ++task.version;
  const absl::Time ready_at = ReadyAt(task, now);
  Wait(task, ready_at);
  if (ready_at <= now) task.status = TaskStatus::kPending;
  return true;
}

absl::Status DependencyFailed(TaskRecord& task, std::string_view dependency_id, absl::Time now) {
  const bool waits = std::find(task.waits_for.begin(), task.waits_for.end(), dependency_id) !=
                     task.waits_for.end();
  if (!waits || task.status != TaskStatus::kScheduled) return Refused(task, TaskStatus::kCancelled);
  if (absl::Status moved = Move(task, TaskStatus::kCancelled, now); !moved.ok()) return moved;
  task.error = TaskFailure{
      kDependencyFailed,
      absl::StrCat("task ", absl::string_view(dependency_id.data(), dependency_id.size()),
                   ", which it depends on, did not succeed; restart that one, then this"),
      false};
  return absl::OkStatus();
}

absl::Status MakeReady(TaskRecord& task, absl::Time now) {
  if (task.status != TaskStatus::kScheduled) return Refused(task, TaskStatus::kPending);
  return Move(task, TaskStatus::kPending, now);
}

absl::Status Lease(TaskRecord& task, std::string_view session_id, absl::Time now) {
  if (absl::Status moved = Move(task, TaskStatus::kRunning, now); !moved.ok()) return moved;
  ++task.lease_epoch;
  ++task.attempt;
  task.session_id = std::string(session_id);
  task.started_at = now;
  task.expires_at = absl::InfiniteFuture();
  task.attempt_deadline_at = now + task.attempt_deadline;
  task.progress = 0;
  task.progress_message.clear();
  return absl::OkStatus();
}

absl::Status CheckLease(const TaskRecord& task, std::string_view session_id, int64_t epoch) {
  if (IsFinal(task.status)) return Refused(task, TaskStatus::kRunning);
  const bool running = task.status == TaskStatus::kRunning;
  const bool holds = running && task.session_id == session_id;
  if (holds && task.lease_epoch == epoch) return absl::OkStatus();
  return status::Error(absl::StatusCode::kFailedPrecondition, kStaleLease,
                       absl::StrCat("the lease of task ", task.task_id, " with epoch ", epoch,
                                    " has ended; stop working on it, the task goes on elsewhere"));
}

bool AlreadyReported(const TaskRecord& task, int64_t epoch, ReportKind kind) {
  return epoch > 0 && task.reported_epoch == epoch && task.reported_kind == kind;
}

absl::Status Progress(TaskRecord& task, int percent, std::string message) {
  if (task.status != TaskStatus::kRunning) return Refused(task, TaskStatus::kRunning);
  task.progress = std::max(task.progress, std::clamp(percent, 0, 100));
  task.progress_message = std::move(message);
  ++task.version;
  return absl::OkStatus();
}

absl::Status Succeed(TaskRecord& task, Success success, absl::Time now) {
  if (absl::Status moved = Move(task, TaskStatus::kSucceeded, now); !moved.ok()) return moved;
  NoteReport(task, ReportKind::kSuccess);
  task.progress = 100;
  task.result = std::move(success.result);
  task.artifacts = std::move(success.artifacts);
  task.error.reset();
  Add(task.usage, success.usage);
  return absl::OkStatus();
}

absl::Status FailAttempt(TaskRecord& task, const Failure& failure, const RetryPolicy& policy,
                         absl::Time now) {
  const bool again = failure.failure.retryable && task.attempt < task.max_attempts;
  const TaskStatus to = again ? TaskStatus::kScheduled : TaskStatus::kFailed;
  if (absl::Status moved = Move(task, to, now); !moved.ok()) return moved;
  if (failure.by_worker) NoteReport(task, ReportKind::kFailure);
  task.error = failure.failure;
  Add(task.usage, failure.usage);
  if (again) {
    task.next_run_at = now + RetryDelay(task.attempt, policy, failure.jitter, failure.retry_after);
    Wait(task, *task.next_run_at);
  }
  return absl::OkStatus();
}

Failure Overdue(const TaskRecord& task, double jitter) {
  Failure overdue;
  overdue.failure = {kDeadlineExceeded,
                     absl::StrCat("attempt ", task.attempt, " did not end within ",
                                  absl::FormatDuration(task.attempt_deadline),
                                  "; allow more time or give it less to do"),
                     true};
  overdue.jitter = jitter;
  overdue.by_worker = false;
  return overdue;
}

absl::Status Release(TaskRecord& task) {
  // ready_at stays: what was handed back does not queue up behind the others again.
  if (task.status != TaskStatus::kRunning) return Refused(task, TaskStatus::kPending);
  if (absl::Status moved = Move(task, TaskStatus::kPending, task.ready_at); !moved.ok()) {
    return moved;
  }
  NoteReport(task, ReportKind::kRelease);
  --task.attempt;
  return absl::OkStatus();
}

absl::Status LoseLease(TaskRecord& task, absl::Time now) {
  if (task.status != TaskStatus::kRunning) return Refused(task, TaskStatus::kPending);
  if (task.lost_leases_count + 1 >= kMaxLostLeasesCount) {
    if (absl::Status moved = Move(task, TaskStatus::kFailed, now); !moved.ok()) return moved;
    ++task.lost_leases_count;
    task.error = TaskFailure{
        kWorkerLost,
        absl::StrCat("its worker was lost ", task.lost_leases_count,
                     " times in a row while running it; look at the workers' logs and memory "
                     "limits before restarting it"),
        false};
    return absl::OkStatus();
  }
  if (absl::Status moved = Move(task, TaskStatus::kPending, now); !moved.ok()) return moved;
  ++task.lost_leases_count;
  --task.attempt;
  return absl::OkStatus();
}

absl::Status Cancel(TaskRecord& task, std::string message, absl::Time now) {
  if (absl::Status moved = Move(task, TaskStatus::kCancelled, now); !moved.ok()) return moved;
  task.error = TaskFailure{kCancelled, std::move(message), false};
  return absl::OkStatus();
}

absl::Status Expire(TaskRecord& task, absl::Time now) {
  if (absl::Status moved = Move(task, TaskStatus::kExpired, now); !moved.ok()) return moved;
  task.error = TaskFailure{
      kExpired, "it was not started before its expiry; allow more time or add workers", false};
  return absl::OkStatus();
}

absl::Status Restart(TaskRecord& task, absl::Time now) {
  if (!IsFinal(task.status)) {
    return status::Error(absl::StatusCode::kFailedPrecondition, "TASK_NOT_FINISHED",
                         absl::StrCat("task ", task.task_id, " is ", Name(task.status),
                                      "; only an ended task can be restarted"));
  }
  if (absl::Status moved = Move(task, TaskStatus::kPending, now); !moved.ok()) return moved;
  task.attempt = 0;
  task.lost_leases_count = 0;
  task.progress = 0;
  task.progress_message.clear();
  task.error.reset();
  task.artifacts.clear();
  task.started_at.reset();
  task.finished_at.reset();
  task.run_at.reset();
  task.waits_for.clear();
  Wait(task, now);
  return absl::OkStatus();
}

absl::Time NextDeadline(const TaskRecord& task) {
  switch (task.status) {
    case TaskStatus::kScheduled:
      return task.ready_at;
    case TaskStatus::kRunning:
      return task.attempt_deadline_at;
    default:
      return task.expires_at;
  }
}

absl::Duration RetryDelay(int attempt, const RetryPolicy& policy, double jitter,
                          absl::Duration least) {
  // 2^40 times any base is beyond every maximum, and the double stays exact.
  const double factor = std::ldexp(1.0, std::clamp(attempt - 1, 0, 40));
  const absl::Duration full = std::min(policy.base * factor, policy.max);
  return std::max(full / 2 + full / 2 * std::clamp(jitter, 0.0, 1.0), least);
}

std::string_view EventType(const TaskRecord& task) {
  switch (task.status) {
    case TaskStatus::kSucceeded:
      return "task_completed";
    case TaskStatus::kFailed:
    case TaskStatus::kExpired:
      return "task_failed";
    case TaskStatus::kCancelled:
      return "task_cancelled";
    default:
      return "task_progress";
  }
}

}  // namespace task_state
}  // namespace slipstream::task_queue
