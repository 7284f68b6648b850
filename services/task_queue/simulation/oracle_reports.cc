// What ends or goes back: reports of workers, and what people do.
#include <algorithm>

#include "libs/status/status.h"
#include "services/task_queue/simulation/oracle.h"

namespace slipstream::task_queue::simulation {

namespace {

std::string Status(TaskStatus status) { return std::string(StatusName(status)); }

}  // namespace

void Oracle::Step(TaskModel& model, const TaskRecord& record, bool owed_event) {
  if (record.version <= model.version) {
    Violation("versions grow", Name(record.task_id), " version ", record.version, " after ",
              model.version);
  }
  if (record.owner != model.spec.owner || record.tenant != model.spec.tenant ||
      record.task_type != model.spec.task_type || record.priority != model.spec.priority ||
      record.max_attempts != model.spec.max_attempts) {
    Violation("a task stays what it is", Name(record.task_id));
  }
  if (record.lease_epoch != model.epoch) {
    Violation("epochs grow", Name(record.task_id), " has epoch ", record.lease_epoch, ", not ",
              model.epoch);
  }
  model.version = record.version;
  if (owed_event) model.owed_events[record.version] = record.status;
}

void Oracle::LeaveRunning(TaskModel& model) {
  model.session_id.clear();
  model.deadline_at = absl::InfiniteFuture();
}

void Oracle::End(TaskModel& model, TaskStatus status, absl::Time now) {
  LeaveRunning(model);
  model.status = status;
  model.finished_at = now;
  counts_.succeeded += status == TaskStatus::kSucceeded;
  counts_.failed += status == TaskStatus::kFailed;
  counts_.cancelled += status == TaskStatus::kCancelled;
  counts_.expired += status == TaskStatus::kExpired;
  TellDependents(model, now);
}

void Oracle::TellDependents(const TaskModel& ended, absl::Time now) {
  for (auto& [id, model] : tasks_) {
    if (model.status != TaskStatus::kScheduled) continue;
    auto it = model.waits_for.find(ended.spec.task_id);
    if (it == model.waits_for.end()) continue;
    if (ended.status != TaskStatus::kSucceeded) {
      model.doomed_at = std::min(model.doomed_at, deps_.scheduler.now());
      continue;
    }
    model.waits_for.erase(it);
    if (!model.waits_for.empty()) continue;
    ++counts_.joined;
    model.ready_at = std::max(model.spec.run_at.value_or(now), now);
    model.expires_at = model.ready_at + model.spec.expires_in;
  }
}

void Oracle::BecomeReady(TaskModel& model, const TaskRecord& record) {
  // The end of a dependency and the sweep that finds it come with the times of their starts.
  const absl::Duration early = skew() + kMaxTravelTime;
  const absl::Time run_at = model.spec.run_at.value_or(absl::InfinitePast());
  const bool too_early = !model.started && record.ready_at < run_at;
  if (!model.waits_for.empty() || too_early || record.ready_at < model.ready_at - early) {
    Violation("nothing runs before its time", Name(record.task_id), " was made ready early");
  }
  model.ready_at = record.ready_at;
  if (!model.started) model.expires_at = model.ready_at + model.spec.expires_in;
  model.status = record.status;
}

bool Oracle::CheckReported(TaskModel& model, const LeaseKey& lease, ReportKind kind,
                           const Reported& reported) {
  const std::string& name = Name(lease.task_id);
  const bool holds = model.status == TaskStatus::kRunning && model.session_id == lease.session_id &&
                     model.epoch == lease.epoch;
  if (!reported.status.ok()) {
    ++counts_.stale_refused;
    deps_.trace.Add("store: refused a report of ", name, " epoch ", lease.epoch, ": ",
                    status::Reason(reported.status));
    if (holds) {
      Violation("the holder's report counts", name, " epoch ", lease.epoch,
                " was refused: ", reported.status.ToString());
    }
    // The last accepted report may be said again.
    if (!MayBeGone(model) && kind != ReportKind::kNone && !model.reported.empty() &&
        model.reported.rbegin()->first == lease.epoch && model.reported.rbegin()->second == kind) {
      Violation("repeating a report is no error", name, " epoch ", lease.epoch);
    }
    return false;
  }
  if (reported.repeated) {
    ++counts_.repeated;
    auto it = model.reported.find(lease.epoch);
    if (it == model.reported.end() || it->second != kind) {
      Violation("a repeated report was made before", name, " epoch ", lease.epoch);
    }
    return false;
  }
  if (!holds) {
    Violation("a report counts under the present lease only", name, " epoch ", lease.epoch,
              " was accepted; it is ", Status(model.status), " with epoch ", model.epoch);
    return false;
  }
  if (kind != ReportKind::kNone) {
    model.reported[lease.epoch] = kind;
    model.lost_in_row = 0;
  }
  return true;
}

void Oracle::OnFinish(std::span<const FinishRequest> requests,
                      const absl::StatusOr<std::vector<Reported>>& result, absl::Time now) {
  if (!result.ok()) return;
  for (size_t i = 0; i < requests.size(); ++i) FinishOne(requests[i], (*result)[i], now);
}

void Oracle::FinishOne(const FinishRequest& request, const Reported& reported, absl::Time now) {
  auto it = tasks_.find(request.lease.task_id);
  if (it == tasks_.end()) {
    if (reported.status.ok()) Known(request.lease.task_id, "a report");
    return;
  }
  TaskModel& model = it->second;
  const auto* success = std::get_if<task_state::Success>(&request.outcome);
  const ReportKind kind = success != nullptr ? ReportKind::kSuccess : ReportKind::kFailure;
  if (!CheckReported(model, request.lease, kind, reported)) return;
  const TaskRecord& record = reported.task;
  deps_.trace.Add("store: ", Name(record.task_id), " epoch ", request.lease.epoch, " is now ",
                  Status(record.status));
  Step(model, record, true);
  if (success == nullptr) {
    return AttemptFailed(model, record, std::get<task_state::Failure>(request.outcome), now);
  }
  if (record.status != TaskStatus::kSucceeded) {
    Violation("states", Name(record.task_id), " is ", Status(record.status), " after a success");
  }
  model.success_epoch = request.lease.epoch;
  model.result = success->result == nullptr ? "" : *success->result;
  End(model, TaskStatus::kSucceeded, now);
}

void Oracle::AttemptFailed(TaskModel& model, const TaskRecord& record,
                           const task_state::Failure& failure, absl::Time now) {
  const std::string& name = Name(record.task_id);
  const bool again = failure.failure.retryable && model.attempt < model.spec.max_attempts;
  const TaskStatus expected = again ? TaskStatus::kScheduled : TaskStatus::kFailed;
  if (record.status != expected) {
    Violation("attempts stay within their bound", name, " is ", Status(record.status),
              " after attempt ", model.attempt, " of ", model.spec.max_attempts);
  }
  if (!again) return End(model, TaskStatus::kFailed, now);
  ++counts_.retried;
  const task_state::RetryPolicy& policy = deps_.settings.retry;
  const absl::Duration full = std::min(
      policy.base * static_cast<double>(int64_t{1} << std::min(model.attempt - 1, 20)), policy.max);
  const absl::Duration least = std::max(full / 2, failure.retry_after);
  const absl::Duration most = std::max(full, failure.retry_after);
  const absl::Duration wait = record.next_run_at.value_or(now) - now;
  if (wait < least || wait > most) {
    Violation("retries back off", name, " waits ", absl::FormatDuration(wait), " after attempt ",
              model.attempt, ", not ", absl::FormatDuration(least), " to ",
              absl::FormatDuration(most));
  }
  LeaveRunning(model);
  model.status = TaskStatus::kScheduled;
  model.ready_at = now + wait;
}

void Oracle::OnProgress(std::span<const ProgressRequest> requests,
                        const absl::StatusOr<std::vector<Reported>>& result) {
  if (!result.ok()) return;
  for (size_t i = 0; i < requests.size(); ++i) {
    auto it = tasks_.find(requests[i].lease.task_id);
    if (it == tasks_.end()) continue;
    if (!CheckReported(it->second, requests[i].lease, ReportKind::kNone, (*result)[i])) continue;
    Step(it->second, (*result)[i].task, false);
    if ((*result)[i].task.progress < requests[i].percent) {
      Violation("progress", Name(requests[i].lease.task_id), " is at ", (*result)[i].task.progress);
    }
  }
}

void Oracle::OnRelease(std::span<const LeaseKey> leases,
                       const absl::StatusOr<std::vector<Reported>>& result) {
  if (!result.ok()) return;
  for (size_t i = 0; i < leases.size(); ++i) {
    auto it = tasks_.find(leases[i].task_id);
    if (it == tasks_.end()) continue;
    TaskModel& model = it->second;
    const Reported& reported = (*result)[i];
    if (!CheckReported(model, leases[i], ReportKind::kRelease, reported)) continue;
    deps_.trace.Add("store: released ", Name(leases[i].task_id), " epoch ", leases[i].epoch);
    Step(model, reported.task, true);
    if (reported.task.status != TaskStatus::kPending ||
        reported.task.attempt != model.attempt - 1) {
      Violation("a release costs nothing", Name(leases[i].task_id), " is ",
                Status(reported.task.status), " at attempt ", reported.task.attempt);
    }
    LeaveRunning(model);
    --model.attempt;
    model.status = TaskStatus::kPending;
  }
}

void Oracle::OnCancel(std::string_view task_id, const absl::StatusOr<Cancelled>& result,
                      absl::Time now) {
  auto it = tasks_.find(task_id);
  if (it == tasks_.end() || it->second.gone) return;
  TaskModel& model = it->second;
  if (!result.ok()) {
    if (model.unfinished()) {
      Violation("what has not ended can be cancelled", Name(task_id), ": ",
                result.status().ToString());
    }
    return;
  }
  if (!result->changed) {
    if (model.status != TaskStatus::kCancelled) {
      Violation("a cancel is acknowledged when it is done", Name(task_id), " is ",
                Status(model.status));
    }
    return;
  }
  deps_.trace.Add("store: cancelled ", Name(task_id));
  if (!model.unfinished() || result->session_id != model.session_id ||
      (!model.session_id.empty() && result->epoch != model.epoch)) {
    Violation("states", Name(task_id), " was cancelled while ", Status(model.status));
  }
  Step(model, result->task, true);
  End(model, TaskStatus::kCancelled, now);
}

void Oracle::OnRestart(std::string_view task_id, const absl::StatusOr<TaskRecord>& result,
                       absl::Time now) {
  if (!result.ok()) return;
  TaskModel* model = Known(task_id, "a restart");
  if (model == nullptr) return;
  deps_.trace.Add("store: restarted ", Name(task_id));
  if (model->unfinished() || model->status == TaskStatus::kSucceeded) {
    Violation("states", Name(task_id), " was restarted while ", Status(model->status));
  }
  if (const TaskModel* holder = UniqueHolder(model->spec); holder != nullptr) {
    Violation("unique key: one unfinished task", Name(task_id), " was restarted while ",
              Name(holder->spec.task_id), " has the key");
  }
  ++counts_.restarted;
  Step(*model, *result, true);
  model->status = TaskStatus::kPending;
  model->attempt = 0;
  model->lost_in_row = 0;
  model->started = false;
  model->doomed_at = absl::InfiniteFuture();
  model->removable = false;
  model->waits_for.clear();
  model->spec.run_at.reset();
  model->ready_at = now;
  model->expires_at = now + model->spec.expires_in;
  model->finished_at = absl::InfiniteFuture();
}

}  // namespace slipstream::task_queue::simulation
