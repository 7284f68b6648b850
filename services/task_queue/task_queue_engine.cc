#include "services/task_queue/task_queue_engine.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::task_queue {

namespace {

constexpr size_t kTaskIdBytes = 36;
constexpr size_t kMaxReasonBytes = 512;

absl::Status CheckTaskId(const std::string& task_id) {
  if (task_id.size() == kTaskIdBytes) return absl::OkStatus();
  return status::FieldError("task_id", "must be an id of 36 characters as submit returned it");
}

}  // namespace

absl::Status TaskQueueEngine::CheckAccepting() const {
  if (!draining_.load(std::memory_order_acquire)) return absl::OkStatus();
  return status::WithRetryAfter(
      status::Error(absl::StatusCode::kUnavailable, "DRAINING",
                    "this queue server is going away; submit again after the delay given"),
      absl::Seconds(1));
}

Async<absl::StatusOr<TaskRecord>> TaskQueueEngine::Submit(const Caller& caller,
                                                          const SubmitSpec& spec) {
  const std::vector<SubmitSpec> specs(1, spec);
  auto results = co_await SubmitMany(caller, specs, false);
  if (!results.ok()) co_return results.status();
  co_return std::move((*results)[0]);
}

Async<absl::StatusOr<std::vector<absl::StatusOr<TaskRecord>>>> TaskQueueEngine::SubmitMany(
    const Caller& caller, const std::vector<SubmitSpec>& specs, bool all_or_nothing) {
  if (absl::Status accepting = CheckAccepting(); !accepting.ok()) co_return accepting;
  if (specs.empty() || specs.size() > kMaxBulkCount) {
    co_return status::FieldError("tasks", "must be 1-100");
  }
  const absl::Time now = deps_.clock.Now();
  std::vector<absl::StatusOr<TaskRecord>> results(specs.size());
  std::vector<NewTask> accepted;
  std::vector<size_t> places;  // of `accepted` in `results`
  for (size_t i = 0; i < specs.size(); ++i) {
    auto task = CheckSubmit(caller, specs[i], deps_.registry, limits_, now);
    if (!task.ok()) {
      results[i] = task.status();
      deps_.figures.Refused(status::Reason(task.status()));
      continue;
    }
    task->task_id = random::Uuid7(deps_.clock, deps_.random);
    places.push_back(i);
    accepted.push_back(*std::move(task));
  }
  if (all_or_nothing && accepted.size() < specs.size()) {
    for (const size_t place : places) {
      results[place] = status::Error(absl::StatusCode::kFailedPrecondition, "ALL_OR_NOTHING",
                                     "not accepted because another entry was refused");
    }
    co_return results;
  }
  if (accepted.empty()) co_return results;
  auto stored = co_await deps_.store.SubmitBatch(accepted, all_or_nothing, now);
  if (!stored.ok()) co_return stored.status();
  for (size_t i = 0; i < stored->size(); ++i) {
    absl::StatusOr<Submitted>& one = (*stored)[i];
    if (!one.ok()) {
      deps_.figures.Refused(status::Reason(one.status()));
      results[places[i]] = one.status();
      continue;
    }
    if (!one->duplicate) deps_.figures.Submitted(one->task, now);
    results[places[i]] = std::move(one->task);
  }
  deps_.signals.work().Notify();
  co_return results;
}

Async<absl::StatusOr<TaskRecord>> TaskQueueEngine::Get(const Caller& caller, std::string task_id) {
  if (absl::Status checked = CheckTaskId(task_id); !checked.ok()) co_return checked;
  auto task = co_await deps_.store.Get(task_id);
  if (!task.ok()) co_return task.status();
  if (!MayAccess(caller, task->owner, task->tenant)) co_return TaskNotFound(task_id);
  co_return task;
}

Async<absl::StatusOr<BulkTasks>> TaskQueueEngine::GetMany(const Caller& caller,
                                                          std::vector<std::string> task_ids) {
  std::set<std::string> seen;
  std::erase_if(task_ids, [&](const std::string& id) { return !seen.insert(id).second; });
  if (task_ids.empty() || task_ids.size() > kMaxBulkCount) {
    co_return status::FieldError("task_ids", "must be 1-100 different ids");
  }
  auto found = co_await deps_.store.BulkGet(task_ids);
  if (!found.ok()) co_return found.status();
  BulkTasks out;
  for (size_t i = 0; i < task_ids.size(); ++i) {
    std::optional<TaskRecord>& task = (*found)[i];
    if (task && MayAccess(caller, task->owner, task->tenant)) {
      out.tasks.push_back(*std::move(task));
    } else {
      out.missing_task_ids.push_back(std::move(task_ids[i]));
    }
  }
  co_return out;
}

Async<absl::StatusOr<TaskPage>> TaskQueueEngine::List(const Caller& caller, ListQuery query) {
  if (query.owner.empty()) query.owner = caller.user;
  if (!caller.admin) {
    if (query.owner != caller.user) {
      co_return status::Error(absl::StatusCode::kPermissionDenied, "NOT_YOUR_TASKS",
                              "only administrators may list another user's tasks; leave owner "
                              "empty for your own");
    }
    query.tenant = caller.tenant;
  }
  co_return co_await deps_.store.ListByOwner(query);
}

Async<absl::StatusOr<TaskRecord>> TaskQueueEngine::Cancel(const Caller& caller, std::string task_id,
                                                          std::string reason) {
  if (reason.size() > kMaxReasonBytes) {
    co_return status::FieldError("reason", "may have at most 512 bytes");
  }
  auto task = co_await Get(caller, task_id);
  if (!task.ok()) co_return task.status();
  if (reason.empty()) {
    reason = absl::StrCat("cancelled by ",
                          caller.user == task->owner ? "its owner" : "an administrator");
  }
  const absl::Time now = deps_.clock.Now();
  auto cancelled = co_await deps_.store.Cancel(task_id, std::move(reason), now);
  if (!cancelled.ok()) co_return cancelled.status();
  if (cancelled->changed) {
    if (!cancelled->session_id.empty()) {
      deps_.sessions.EndLease({task_id, cancelled->session_id, cancelled->epoch},
                              task_state::kCancelled);
    }
    deps_.figures.Ended(cancelled->task, now);
    deps_.signals.Changed(task_id);
  }
  co_return std::move(cancelled->task);
}

Async<absl::StatusOr<TaskRecord>> TaskQueueEngine::Restart(const Caller& caller,
                                                           std::string task_id) {
  if (absl::Status accepting = CheckAccepting(); !accepting.ok()) co_return accepting;
  auto task = co_await Get(caller, task_id);
  if (!task.ok()) co_return task.status();
  auto restarted = co_await deps_.store.Restart(task_id, deps_.clock.Now());
  if (!restarted.ok()) co_return restarted.status();
  deps_.signals.Changed(task_id);
  deps_.signals.work().Notify();
  co_return restarted;
}

Async<absl::StatusOr<CleanupResult>> TaskQueueEngine::Cleanup(
    std::optional<absl::Duration> older_than, bool dry_run) {
  CleanupQuery query;
  query.dry_run = dry_run;
  if (older_than) {
    if (*older_than < absl::ZeroDuration()) {
      co_return status::FieldError("older_than_ms", "must be at least 0");
    }
    query.finished_before = deps_.clock.Now() - *older_than;
  }
  co_return co_await deps_.store.Cleanup(query, deps_.clock.Now());
}

Async<absl::StatusOr<std::vector<std::string>>> TaskQueueEngine::SetPaused(std::string task_type,
                                                                           bool paused) {
  if (task_type.empty()) task_type = "*";
  if (paused && task_type != "*") {
    const auto known = deps_.registry.Find(task_type);
    if (!known.ok()) co_return known.status();
    task_type = (*known)->type.name();
  }
  auto all = co_await deps_.store.SetPaused(task_type, paused);
  deps_.signals.work().Notify();
  co_return all;
}

Async<absl::StatusOr<QueueReport>> TaskQueueEngine::Report() {
  auto stats = co_await deps_.store.Stats();
  if (!stats.ok()) co_return stats.status();
  QueueReport report;
  report.store = *std::move(stats);
  report.figures = deps_.figures.Read(deps_.clock.Now());
  report.workers = deps_.sessions.Infos();
  report.store_name = deps_.store.name();
  co_return report;
}

Async<absl::StatusOr<bool>> TaskQueueEngine::Tick() {
  const absl::Time now = deps_.clock.Now();
  auto swept = co_await deps_.store.Sweep(now, kMaxSweepCount, deps_.random.NextDouble());
  deps_.sessions.ExpireSessions();
  if (!swept.ok()) co_return swept.status();
  for (const EndedLease& ended : swept->ended_leases) {
    deps_.figures.LeaseLost(ended.reason);
    deps_.sessions.EndLease(ended.lease, ended.reason);
  }
  for (const TaskRecord& task : swept->changed) {
    deps_.figures.Ended(task, now);
    deps_.signals.Changed(task.task_id);
  }
  if (!swept->changed.empty()) deps_.signals.work().Notify();
  co_return swept->more;
}

}  // namespace slipstream::task_queue
