// MemoryTaskStore: sessions, leases and what is reported under them.
#include <algorithm>

#include "libs/status/status.h"
#include "services/task_queue/memory_task_store.h"

namespace slipstream::task_queue {

namespace {

ReportKind KindOf(const FinishRequest& request) {
  return std::holds_alternative<task_state::Success>(request.outcome) ? ReportKind::kSuccess
                                                                      : ReportKind::kFailure;
}

}  // namespace

// --- sessions and leases

Async<absl::Status> MemoryTaskStore::OpenSession(SessionLease session, absl::Time /*now*/) {
  sync::MutexLock lock(mu_);
  Session& kept = sessions_[session.session_id];
  session_timers_.erase({kept.until, session.session_id});
  kept.until = session.until;
  kept.user = session.user;
  session_timers_.insert({kept.until, session.session_id});
  co_return absl::OkStatus();
}

Async<absl::StatusOr<std::vector<bool>>> MemoryTaskStore::RenewSessions(
    std::span<const SessionLease> sessions, absl::Time now) {
  sync::MutexLock lock(mu_);
  std::vector<bool> known;
  for (const SessionLease& session : sessions) {
    auto it = sessions_.find(session.session_id);
    // What has expired is gone even when no sweep has come by: nobody may count on a sweep's
    // timing.
    const bool alive = it != sessions_.end() && it->second.until > now;
    known.push_back(alive);
    if (!alive) continue;
    session_timers_.erase({it->second.until, session.session_id});
    it->second.until = session.until;
    session_timers_.insert({session.until, session.session_id});
  }
  co_return known;
}

Async<absl::StatusOr<StoredSession>> MemoryTaskStore::FindSession(std::string_view session_id,
                                                                  absl::Time now) {
  sync::MutexLock lock(mu_);
  auto it = sessions_.find(std::string(session_id));
  if (it == sessions_.end() || it->second.until <= now) {
    co_return status::Error(absl::StatusCode::kNotFound, kSessionNotFound,
                            "the worker session has ended; reconnect for a new one");
  }
  StoredSession found{it->second.user, {}};
  for (const std::string& id : it->second.task_ids) found.held.push_back(tasks_.at(id).task);
  co_return found;
}

Async<absl::StatusOr<std::vector<TaskRecord>>> MemoryTaskStore::LeaseBatch(
    std::string_view session_id, std::span<const LeaseType> types, int max_count, absl::Time now) {
  sync::MutexLock lock(mu_);
  auto session = sessions_.find(std::string(session_id));
  if (session == sessions_.end() || session->second.until <= now) {
    co_return status::Error(absl::StatusCode::kNotFound, kSessionNotFound,
                            "the worker session has ended; reconnect for a new one");
  }
  std::vector<std::string_view> wanted;
  std::map<std::string_view, const LeaseType*> limited;
  for (const LeaseType& type : types) {
    if (paused_.contains("*") || paused_.contains(type.name)) continue;
    if (!limits_.MayStart(type, now)) continue;
    wanted.push_back(type.name);
    if (type.max_running_count > 0 || type.max_starts_per_minute > 0) limited[type.name] = &type;
  }
  std::vector<TaskRecord> leased;
  // Nobody may count on a sweep's timing: what has expired is not started, the next sweep ends it.
  std::vector<Entry*> expired;
  while (static_cast<int>(leased.size()) < max_count) {
    const std::string task_id = waiting_.Next(wanted, now);
    if (task_id.empty()) break;
    Entry& entry = tasks_.at(task_id);
    if (entry.task.expires_at <= now) {
      Withdraw(entry);
      expired.push_back(&entry);
      continue;
    }
    waiting_.Charge(entry.task);
    auto limit = limited.find(entry.task.task_type);
    const absl::Status status =
        Change(entry, [&](TaskRecord& task) { return task_state::Lease(task, session_id, now); });
    if (!status.ok()) co_return status;
    Announce(entry, "task_started");
    leased.push_back(entry.task);
    if (limit == limited.end()) continue;
    limits_.TakeToken(*limit->second);
    if (!limits_.MayStart(*limit->second, now)) std::erase(wanted, limit->second->name);
  }
  for (Entry* entry : expired) Offer(*entry);
  co_return leased;
}

absl::StatusOr<MemoryTaskStore::Entry*> MemoryTaskStore::FindLeased(const LeaseKey& lease,
                                                                    ReportKind kind,
                                                                    Reported& out) {
  Entry* entry = Find(lease.task_id);
  if (entry == nullptr) return TaskNotFound(lease.task_id);
  if (task_state::AlreadyReported(entry->task, lease.epoch, kind)) {
    out.repeated = true;
    return entry;
  }
  absl::Status held = task_state::CheckLease(entry->task, lease.session_id, lease.epoch);
  if (!held.ok()) return held;
  return entry;
}

Async<absl::StatusOr<std::vector<Reported>>> MemoryTaskStore::FinishBatch(
    std::span<const FinishRequest> requests, absl::Time now) {
  sync::MutexLock lock(mu_);
  std::vector<Reported> results(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    Reported& out = results[i];
    absl::StatusOr<Entry*> entry = FindLeased(requests[i].lease, KindOf(requests[i]), out);
    out.status = entry.status();
    if (!entry.ok()) continue;
    if (!out.repeated) {
      out.status = Change(**entry, [&](TaskRecord& task) {
        if (const auto* success = std::get_if<task_state::Success>(&requests[i].outcome)) {
          return task_state::Succeed(task, *success, now);
        }
        return task_state::FailAttempt(task, std::get<task_state::Failure>(requests[i].outcome),
                                       options_.retry, now);
      });
      if (out.status.ok()) Announce(**entry, task_state::EventType((*entry)->task));
    }
    out.task = (*entry)->task;
  }
  ReleaseDependents(now);
  co_return results;
}

Async<absl::StatusOr<std::vector<Reported>>> MemoryTaskStore::ProgressBatch(
    std::span<const ProgressRequest> requests, absl::Time /*now*/) {
  sync::MutexLock lock(mu_);
  std::vector<Reported> results(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    Reported& out = results[i];
    absl::StatusOr<Entry*> entry = FindLeased(requests[i].lease, ReportKind::kNone, out);
    out.status = entry.status();
    if (!entry.ok()) continue;
    // No index depends on progress.
    out.status = task_state::Progress((*entry)->task, requests[i].percent, requests[i].message);
    if (out.status.ok()) Announce(**entry, "task_progress");
    out.task = (*entry)->task;
  }
  co_return results;
}

Async<absl::StatusOr<std::vector<Reported>>> MemoryTaskStore::ReleaseBatch(
    std::span<const LeaseKey> leases, absl::Time /*now*/) {
  sync::MutexLock lock(mu_);
  std::vector<Reported> results(leases.size());
  for (size_t i = 0; i < leases.size(); ++i) {
    Reported& out = results[i];
    absl::StatusOr<Entry*> entry = FindLeased(leases[i], ReportKind::kRelease, out);
    out.status = entry.status();
    if (!entry.ok()) continue;
    if (!out.repeated) {
      out.status = Change(**entry, [](TaskRecord& task) { return task_state::Release(task); });
      if (out.status.ok()) Announce(**entry, "task_progress");
    }
    out.task = (*entry)->task;
  }
  co_return results;
}

}  // namespace slipstream::task_queue
