#include "services/task_queue/task_queue_engine.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/server_figures.h"

namespace slipstream::task_queue {

namespace {

constexpr size_t kTaskIdBytes = 36;
constexpr size_t kMaxReasonBytes = 512;

absl::Status CheckTaskId(const std::string& task_id) {
  if (task_id.size() == kTaskIdBytes) return absl::OkStatus();
  return status::FieldError("task_id", "must be an id of 36 characters as submit returned it");
}

// Keeps the first of each.
void RemoveRepeated(std::vector<std::string>& ids) {
  absl::flat_hash_set<std::string_view> seen;
  seen.reserve(ids.size());
  size_t kept = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    // Moved first: a short text's bytes move with it.
    if (kept != i) ids[kept] = std::move(ids[i]);
    if (seen.insert(ids[kept]).second) ++kept;
  }
  ids.resize(kept);
}

}  // namespace

Async<absl::StatusOr<TaskRecord>> TaskQueueEngine::Get(const Caller& caller, std::string task_id) {
  if (absl::Status checked = CheckTaskId(task_id); !checked.ok()) co_return checked;
  auto task = co_await deps_.store.Get(task_id);
  if (!task.ok()) co_return task.status();
  if (!MayAccess(caller, task->owner, task->tenant)) co_return TaskNotFound(task_id);
  co_return task;
}

Async<absl::StatusOr<BulkTasks>> TaskQueueEngine::GetMany(const Caller& caller,
                                                          std::vector<std::string> task_ids) {
  RemoveRepeated(task_ids);
  if (task_ids.empty() || task_ids.size() > kMaxBulkCount) {
    co_return status::FieldError("task_ids", "must be 1-100 different ids");
  }
  auto found = co_await deps_.store.BulkGet(task_ids);
  if (!found.ok()) co_return found.status();
  BulkTasks out;
  out.tasks.reserve(task_ids.size());
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
      EndLease({{task_id, cancelled->session_id, cancelled->epoch}, task_state::kCancelled});
    }
    // A freed concurrency key or limit may let another one start.
    Changed({&cancelled->task, 1}, now);
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

Async<absl::StatusOr<PurgeResult>> TaskQueueEngine::Purge(PurgeQuery query) {
  if (query.task_type.empty()) {
    co_return status::FieldError("task_type", "is required; \"*\" purges all types");
  }
  if (query.task_type != "*") {
    // A type that nobody announces any more may still have tasks.
    const auto known = deps_.registry.Find(query.task_type);
    if (known.ok()) query.task_type = (*known)->type.name();
  }
  if (query.statuses.empty()) query.statuses = {TaskStatus::kFailed};
  for (const TaskStatus status : query.statuses) {
    if (status != TaskStatus::kPending && status != TaskStatus::kScheduled &&
        status != TaskStatus::kFailed) {
      co_return status::FieldError("status", "may be PENDING, SCHEDULED and FAILED");
    }
  }
  const absl::Time now = deps_.clock.Now();
  auto result = co_await deps_.store.Purge(query, now);
  if (!result.ok()) co_return result.status();
  std::vector<TaskRecord> cancelled;
  for (const TaskRecord& task : result->purged) {
    if (task.status == TaskStatus::kCancelled) cancelled.push_back(task);
  }
  deps_.figures.Ended(cancelled, now);
  deps_.signals.Changed(result->purged);
  co_return result;
}

Async<absl::StatusOr<QueueReport>> TaskQueueEngine::Report() {
  auto stats = co_await deps_.store.Stats();
  // What happens here and who works here is known without the store.
  const bool away = absl::IsUnavailable(stats.status());
  if (!stats.ok() && !away) co_return stats.status();
  const absl::Time now = deps_.clock.Now();
  QueueReport report;
  if (!away) report.store = *std::move(stats);
  report.workers = deps_.sessions.Infos();
  report.store_name = deps_.store.name();
  report.degraded = away || store_away_.load(std::memory_order_acquire);
  FiguresSum sum = deps_.figures.Sum(now);
  const auto shared = co_await deps_.store.LoadShared(kFiguresKind);
  // Without the others' figures these are still this server's.
  if (shared.ok()) {
    for (const auto& [server_id, document] : *shared) {
      if (server_id == deps_.server_id) continue;
      auto other = ParseFigures(document);
      if (!other || now - other->taken_at > kMaxFiguresAge) continue;
      sum.Add(other->figures);
      std::move(other->workers.begin(), other->workers.end(), std::back_inserter(report.workers));
    }
  }
  report.figures = sum.Read();
  co_return report;
}

Async<absl::Status> TaskQueueEngine::ShareFigures() {
  if (deps_.server_id.empty()) co_return absl::OkStatus();
  const absl::Time now = deps_.clock.Now();
  std::string document =
      SerializeFigures({deps_.server_id, now, deps_.figures.Sum(now), deps_.sessions.Infos()});
  co_return co_await deps_.store.SaveShared(kFiguresKind, deps_.server_id, std::move(document),
                                            kFiguresTtl);
}

// --- time and other servers

void TaskQueueEngine::Changed(std::span<const TaskRecord> tasks, absl::Time now) {
  if (tasks.empty()) return;
  deps_.figures.Ended(tasks, now);
  deps_.signals.Changed(tasks);
  deps_.signals.work().Notify();
}

// The others are told even when the worker is connected here: it may have gone to one of them
// without this server having noticed that its stream is broken.
void TaskQueueEngine::EndLease(const EndedLease& ended) {
  deps_.sessions.EndLease(ended.lease, ended.reason);
  deps_.store.AnnounceEndedLease(ended);
}

void TaskQueueEngine::OnEndedLease(const EndedLease& ended) {
  deps_.sessions.EndLease(ended.lease, ended.reason);
  deps_.signals.Changed(ended.lease.task_id);
}

void TaskQueueEngine::OnGap() {
  gap_.store(true, std::memory_order_release);
  deps_.signals.NotifyAll();
}

Async<absl::StatusOr<bool>> TaskQueueEngine::Recover(absl::Time now) {
  absl::Status reopened = co_await deps_.sessions.Reopen();
  if (!reopened.ok()) co_return reopened;
  store_away_.store(false, std::memory_order_release);
  sweep_after_ = now + std::min(kRecoveryTime, 2 * (now - store_seen_));
  OnGap();
  co_return false;
}

void TaskQueueEngine::Swept(const SweepResult& swept, absl::Time now) {
  for (const EndedLease& ended : swept.ended_leases) {
    deps_.figures.LeaseLost(ended.reason);
    EndLease(ended);
  }
  Changed(swept.changed, now);
}

Async<absl::StatusOr<bool>> TaskQueueEngine::Tick() {
  const absl::Time now = deps_.clock.Now();
  deps_.sessions.ExpireSessions();
  bool more = false;
  if (deps_.store.has_part_here()) {
    const SweepResult here =
        co_await deps_.store.SweepHere(now, kMaxSweepCount, deps_.random.NextDouble());
    Swept(here, now);
    more = here.more;
  }
  if (store_away_.load(std::memory_order_acquire)) co_return co_await Recover(now);
  auto swept = co_await TickStore(now);
  if (!swept.ok()) {
    store_away_.store(absl::IsUnavailable(swept.status()), std::memory_order_release);
    co_return swept;
  }
  store_seen_ = now;
  co_return *swept || more;
}

Async<absl::StatusOr<bool>> TaskQueueEngine::TickStore(absl::Time now) {
  if (gap_.exchange(false, std::memory_order_acq_rel)) {
    absl::Status checked = co_await deps_.sessions.Recheck();
    if (!checked.ok()) {
      gap_.store(true, std::memory_order_release);
      co_return checked;
    }
  }
  // Of what can't be done, only a store that is away keeps time from the rest.
  absl::Status failure = co_await deps_.sessions.Reclaim();
  if (absl::IsUnavailable(failure)) co_return failure;
  if (now < sweep_after_) co_return failure.ok() ? absl::StatusOr<bool>(false) : failure;
  auto swept = co_await deps_.store.Sweep(now, kMaxSweepCount, deps_.random.NextDouble());
  if (!swept.ok()) co_return swept.status();
  Swept(*swept, now);
  failure.Update(swept->failure);
  if (!failure.ok()) co_return failure;
  co_return swept->more;
}

}  // namespace slipstream::task_queue
