// MemoryTaskStore: what people, time and other tasks' ends change.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/memory_task_store.h"
#include "services/task_queue/task_keys.h"

namespace slipstream::task_queue {

// --- changes by people

Async<absl::StatusOr<Cancelled>> MemoryTaskStore::Cancel(std::string_view task_id,
                                                         std::string message, absl::Time now) {
  sync::MutexLock lock(mu_);
  Entry* entry = Find(task_id);
  if (entry == nullptr) co_return TaskNotFound(task_id);
  Cancelled out;
  if (entry->task.status != TaskStatus::kCancelled) {
    out.session_id = entry->task.session_id;
    out.epoch = entry->task.lease_epoch;
    const absl::Status status = Change(*entry, [&](TaskRecord& task) {
      return task_state::Cancel(task, std::move(message), now);
    });
    if (!status.ok()) co_return status;
    out.changed = true;
    Announce(*entry, task_state::EventType(entry->task));
  }
  out.task = entry->task;
  co_return out;
}

Async<absl::StatusOr<TaskRecord>> MemoryTaskStore::Restart(std::string_view task_id,
                                                           absl::Time now) {
  sync::MutexLock lock(mu_);
  Entry* entry = Find(task_id);
  if (entry == nullptr) co_return TaskNotFound(task_id);
  if (task_state::IsFinal(entry->task.status) && !entry->task.unique_key.empty()) {
    const TaskRecord& task = entry->task;
    auto taken = unique_.find(UniqueKeyOf(task.owner, task.tenant, task.unique_key));
    if (taken != unique_.end()) co_return UniqueKeyTaken(taken->second->task.task_id);
  }
  const absl::Status status =
      Change(*entry, [&](TaskRecord& task) { return task_state::Restart(task, now); });
  if (!status.ok()) co_return status;
  Announce(*entry, task_state::EventType(entry->task));
  co_return entry->task;
}

// --- flows

void MemoryTaskStore::NoteEnd(const TaskRecord& task) {
  if (!dependents_.contains(task.task_id)) return;
  ended_.emplace_back(task.task_id, task.status == TaskStatus::kSucceeded);
}

MemoryTaskStore::Entry* MemoryTaskStore::NextDependent(const std::string& dependency_id) {
  auto of = dependents_.find(dependency_id);
  return of == dependents_.end() ? nullptr : Find(*of->second.begin());
}

void MemoryTaskStore::ReleaseDependents(absl::Time now) {
  int count = 0;
  while (!ended_.empty() && ended_.front().second) {
    const std::string& ended = ended_.front().first;
    Entry* waits = NextDependent(ended);
    if (waits == nullptr) {
      ended_.pop_front();
      continue;
    }
    if (count++ >= kMaxReleasedCount) return;
    const absl::Status told = Change(*waits, [&](TaskRecord& task) {
      task_state::DependencySucceeded(task, ended, now);
      return absl::OkStatus();
    });
    if (!told.ok()) return;
  }
}

void MemoryTaskStore::SweepFlows(absl::Time now, int max_count, SweepResult& result) {
  while (!ended_.empty()) {
    const auto [ended, succeeded] = ended_.front();
    Entry* waits = NextDependent(ended);
    if (waits == nullptr) {
      ended_.pop_front();
      continue;
    }
    if (static_cast<int>(result.changed.size()) >= max_count) {
      result.more = true;
      return;
    }
    const absl::Status told = Change(*waits, [&, id = ended, ok = succeeded](TaskRecord& task) {
      if (!ok) return task_state::DependencyFailed(task, id, now);
      task_state::DependencySucceeded(task, id, now);
      return absl::OkStatus();
    });
    if (!told.ok()) return;  // can't be: only tasks that wait are listed
    if (!succeeded) Announce(*waits, task_state::EventType(waits->task));
    result.changed.push_back(waits->task);
  }
}

// --- changes by time

void MemoryTaskStore::SweepSessions(absl::Time now, int max_count, SweepResult& result) {
  while (!session_timers_.empty() && session_timers_.begin()->first <= now) {
    const std::string session_id = session_timers_.begin()->second;
    Session& session = sessions_.at(session_id);
    while (!session.task_ids.empty()) {
      if (static_cast<int>(result.changed.size()) >= max_count) {
        result.more = true;
        return;
      }
      Entry& entry = tasks_.at(*session.task_ids.begin());
      result.ended_leases.push_back(
          {{entry.task.task_id, session_id, entry.task.lease_epoch}, task_state::kStaleLease});
      const absl::Status lost =
          Change(entry, [&](TaskRecord& task) { return task_state::LoseLease(task, now); });
      if (!lost.ok()) return;  // can't be: a session holds RUNNING tasks only
      Announce(entry, task_state::EventType(entry.task));
      result.changed.push_back(entry.task);
    }
    session_timers_.erase(session_timers_.begin());
    sessions_.erase(session_id);
  }
}

void MemoryTaskStore::SweepOne(Entry& entry, absl::Time now, double jitter, SweepResult& result) {
  const TaskStatus was = entry.task.status;
  if (task_state::IsFinal(was)) {
    Forget(entry);
    ++result.forgotten_count;
    return;
  }
  if (was == TaskStatus::kRunning) {
    result.ended_leases.push_back(
        {{entry.task.task_id, entry.task.session_id, entry.task.lease_epoch},
         task_state::kDeadlineExceeded});
  }
  const absl::Status changed = Change(entry, [&](TaskRecord& task) {
    if (was == TaskStatus::kScheduled) return task_state::MakeReady(task, now);
    if (was == TaskStatus::kPending) return task_state::Expire(task, now);
    const task_state::Failure overdue = task_state::Overdue(task, jitter);
    return task_state::FailAttempt(task, overdue, options_.retry, now);
  });
  if (!changed.ok()) return;
  // Becoming ready at the time asked for is no news to the owner.
  if (was != TaskStatus::kScheduled) Announce(entry, task_state::EventType(entry.task));
  result.changed.push_back(entry.task);
}

void MemoryTaskStore::SweepTimers(absl::Time now, int max_count, double jitter,
                                  SweepResult& result) {
  while (!timers_.empty() && std::get<0>(*timers_.begin()) <= now) {
    const int64_t done = static_cast<int64_t>(result.changed.size()) + result.forgotten_count;
    if (done >= max_count) {
      result.more = true;
      return;
    }
    SweepOne(*std::get<2>(*timers_.begin()), now, jitter, result);
  }
}

void MemoryTaskStore::SweepRequests(absl::Time now, int max_count, SweepResult& result) {
  for (int i = 0; !request_timers_.empty() && request_timers_.begin()->first <= now; ++i) {
    if (i >= max_count) {
      result.more = true;
      return;
    }
    requests_.erase(request_timers_.begin()->second);
    request_timers_.erase(request_timers_.begin());
  }
}

Async<absl::StatusOr<SweepResult>> MemoryTaskStore::Sweep(absl::Time now, int max_count,
                                                          double jitter) {
  sync::MutexLock lock(mu_);
  SweepResult result;
  SweepSessions(now, max_count, result);
  SweepTimers(now, max_count, jitter, result);
  SweepFlows(now, max_count, result);
  SweepRequests(now, max_count, result);
  co_return result;
}

Async<absl::StatusOr<CleanupResult>> MemoryTaskStore::Cleanup(const CleanupQuery& query,
                                                              absl::Time now) {
  sync::MutexLock lock(mu_);
  CleanupResult result;
  const bool by_end = query.finished_before != absl::InfinitePast();
  std::vector<Entry*> over;
  for (const auto& [at, order, entry] : by_end ? finished_ : timers_) {
    if (by_end ? at >= query.finished_before : at > now) break;
    if (!task_state::IsFinal(entry->task.status)) continue;
    if (static_cast<int>(over.size()) >= query.max_count) {
      result.more = true;
      break;
    }
    over.push_back(entry);
  }
  result.removed_count = static_cast<int64_t>(over.size());
  if (!query.dry_run) {
    for (Entry* entry : over) Forget(*entry);
  }
  co_return result;
}

Async<absl::StatusOr<PurgeResult>> MemoryTaskStore::Purge(const PurgeQuery& query, absl::Time now) {
  sync::MutexLock lock(mu_);
  PurgeResult result;
  std::vector<Entry*> found;
  const auto take = [&](Entry* entry) {
    if (query.tenant && *query.tenant != entry->task.tenant) return;
    result.more = static_cast<int>(found.size()) >= query.max_count;
    if (!result.more) found.push_back(entry);
  };
  const auto wants = [&](TaskStatus status) {
    return std::find(query.statuses.begin(), query.statuses.end(), status) != query.statuses.end();
  };
  for (const auto& [key, depth] : depths_) {
    if (query.task_type != "*" && query.task_type != key.first) continue;
    if (wants(TaskStatus::kPending)) {
      for (auto it = depth.pending.begin(); it != depth.pending.end() && !result.more; ++it) {
        take(std::get<2>(*it));
      }
    }
    for (const auto& [status, tasks] : {std::pair(TaskStatus::kScheduled, &depth.scheduled),
                                        std::pair(TaskStatus::kFailed, &depth.failed)}) {
      if (!wants(status)) continue;
      for (auto it = tasks->begin(); it != tasks->end() && !result.more; ++it) take(it->second);
    }
    if (result.more) break;
  }
  result.purged_count = static_cast<int64_t>(found.size());
  if (query.dry_run) co_return result;
  for (Entry* entry : found) {
    if (!task_state::IsFinal(entry->task.status)) {
      const absl::Status cancelled = Change(*entry, [&](TaskRecord& task) {
        return task_state::Cancel(task, "purged by an administrator", now);
      });
      if (!cancelled.ok()) continue;
      Announce(*entry, task_state::EventType(entry->task));
    }
    result.purged.push_back(entry->task);
    result.purged.back().args = nullptr;
    Forget(*entry);
  }
  co_return result;
}

}  // namespace slipstream::task_queue
