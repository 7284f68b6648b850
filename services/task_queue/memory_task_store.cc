#include "services/task_queue/memory_task_store.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::task_queue {

namespace {

// Records looked at for one page, so that a rare filter over a long list stays bounded; the page
// then ends early, with a token.
constexpr int kMaxListScanCount = 10'000;

std::string RequestKey(const NewTask& task) {
  return absl::StrCat(task.owner.size(), ":", task.owner, task.tenant.size(), ":", task.tenant,
                      task.request_id);
}

ReportKind KindOf(const FinishRequest& request) {
  return std::holds_alternative<task_state::Success>(request.outcome) ? ReportKind::kSuccess
                                                                      : ReportKind::kFailure;
}

absl::Status QueueFull(std::string_view what) {
  return status::WithRetryAfter(
      status::Error(absl::StatusCode::kResourceExhausted, kQueueFull,
                    absl::StrCat("the queue is full (", absl::string_view(what.data(), what.size()),
                                 "); try again later, or raise the bound and restart")),
      absl::Seconds(5));
}

}  // namespace

absl::Status TaskNotFound(std::string_view task_id) {
  return status::Error(
      absl::StatusCode::kNotFound, kTaskNotFound,
      absl::StrCat("there is no task ", status::BoundedText({task_id.data(), task_id.size()}, 64),
                   "; results are kept for a limited time after the end"));
}

MemoryTaskStore::Entry* MemoryTaskStore::Find(std::string_view task_id) {
  auto it = tasks_.find(std::string(task_id));
  return it == tasks_.end() ? nullptr : &it->second;
}

// --- indexes and outbox

void MemoryTaskStore::Index(Entry& entry) {
  const TaskRecord& task = entry.task;
  ++by_status_[static_cast<size_t>(task.status)];
  bytes_ += SizeOf(task.args) + SizeOf(task.result);
  if (task.status == TaskStatus::kPending) {
    waiting_.Add(task, entry.order);
    depths_[{task.task_type, task.priority}].pending.insert(task.ready_at);
  }
  if (task.status == TaskStatus::kScheduled) {
    ++depths_[{task.task_type, task.priority}].scheduled_count;
  }
  if (task.status == TaskStatus::kRunning) {
    sessions_[task.session_id].task_ids.insert(task.task_id);
  }
  if (task.finished_at) finished_.insert({*task.finished_at, entry.order, &entry});
  const absl::Time deadline = task_state::NextDeadline(task);
  if (deadline != absl::InfiniteFuture()) timers_.insert({deadline, entry.order, &entry});
}

void MemoryTaskStore::Unindex(Entry& entry) {
  const TaskRecord& task = entry.task;
  --by_status_[static_cast<size_t>(task.status)];
  bytes_ -= SizeOf(task.args) + SizeOf(task.result);
  if (task.status == TaskStatus::kPending || task.status == TaskStatus::kScheduled) {
    auto depth = depths_.find({task.task_type, task.priority});
    if (task.status == TaskStatus::kPending) {
      waiting_.Remove(task, entry.order);
      depth->second.pending.erase(depth->second.pending.find(task.ready_at));
    } else {
      --depth->second.scheduled_count;
    }
    if (depth->second.pending.empty() && depth->second.scheduled_count == 0) depths_.erase(depth);
  }
  if (task.status == TaskStatus::kRunning) {
    auto session = sessions_.find(task.session_id);
    if (session != sessions_.end()) session->second.task_ids.erase(task.task_id);
  }
  if (task.finished_at) finished_.erase({*task.finished_at, entry.order, &entry});
  timers_.erase({task_state::NextDeadline(task), entry.order, &entry});
}

void MemoryTaskStore::Forget(Entry& entry) {
  Unindex(entry);
  auto owned = by_owner_.find(entry.task.owner);
  owned->second.erase(entry.order);
  if (owned->second.empty()) by_owner_.erase(owned);
  const std::string task_id = entry.task.task_id;
  tasks_.erase(task_id);
}

void MemoryTaskStore::Announce(Entry& entry, std::string_view type) {
  const bool progress = type == "task_progress" && entry.task.status == TaskStatus::kRunning;
  OutboxEntry* out = nullptr;
  if (progress && entry.progress_sequence > read_sequence_ && !outbox_.empty() &&
      entry.progress_sequence >= outbox_.front().sequence) {
    // Conflated: an undelivered progress of this task is replaced by the newer one.
    out = &outbox_[static_cast<size_t>(entry.progress_sequence - outbox_.front().sequence)];
  } else {
    if (static_cast<int64_t>(outbox_.size()) >= options_.max_outbox_count) {
      outbox_.pop_front();
      ++outbox_dropped_count_;
    }
    out = &outbox_.emplace_back();
    out->sequence = next_sequence_++;
    entry.progress_sequence = progress ? out->sequence : 0;
  }
  out->type = std::string(type);
  out->idempotency_key = absl::StrCat(entry.task.task_id, ":", entry.task.version);
  out->task = entry.task;
  out->task.args = nullptr;
  out->task.result = nullptr;
}

// --- submit

absl::StatusOr<bool> MemoryTaskStore::CheckSubmit(const NewTask& task, Submitted* known) const {
  if (!task.request_id.empty()) {
    auto request = requests_.find(RequestKey(task));
    if (request != requests_.end()) {
      if (request->second.fingerprint != task.fingerprint) {
        return status::Error(
            absl::StatusCode::kAlreadyExists, kRequestIdReused,
            absl::StrCat("request_id was used for another submit (task ", request->second.task_id,
                         "); use a new one for new content"),
            {{"task_id", request->second.task_id}});
      }
      auto first = tasks_.find(request->second.task_id);
      if (first == tasks_.end()) {
        return status::Error(
            absl::StatusCode::kAlreadyExists, "REQUEST_ALREADY_DONE",
            absl::StrCat("this request was accepted as task ", request->second.task_id,
                         ", whose result is no longer kept; use a new request_id "
                         "to run it again"),
            {{"task_id", request->second.task_id}});
      }
      known->task = first->second.task;
      known->duplicate = true;
      return true;
    }
    if (static_cast<int64_t>(requests_.size()) >= options_.max_tasks_count) {
      return QueueFull("request ids kept for 24 h");
    }
  }
  if (static_cast<int64_t>(tasks_.size()) >= options_.max_tasks_count) {
    return QueueFull("task_queue.max_tasks_count");
  }
  if (bytes_ + SizeOf(task.args) > options_.max_bytes) return QueueFull("memory for arguments");
  if (tasks_.contains(task.task_id)) {
    return status::Error(absl::StatusCode::kInternal, "TASK_ID_TAKEN",
                         "a new task got an id that is in use; submit again");
  }
  return false;
}

absl::StatusOr<Submitted> MemoryTaskStore::SubmitOne(const NewTask& task, absl::Time now) {
  Submitted out;
  absl::StatusOr<bool> known = CheckSubmit(task, &out);
  if (!known.ok()) return known.status();
  if (*known) return out;
  Entry& entry = tasks_[task.task_id];
  entry.task = task_state::Create(task, now);
  entry.order = next_order_++;
  Index(entry);
  by_owner_[task.owner].emplace(entry.order, &entry);
  if (!task.request_id.empty()) {
    const std::string key = RequestKey(task);
    requests_[key] = {task.task_id, task.fingerprint, now + kRequestIdTtl};
    request_timers_.insert({now + kRequestIdTtl, key});
  }
  out.task = entry.task;
  return out;
}

Async<absl::StatusOr<std::vector<absl::StatusOr<Submitted>>>> MemoryTaskStore::SubmitBatch(
    std::span<const NewTask> tasks, bool all_or_nothing, absl::Time now) {
  sync::MutexLock lock(mu_);
  std::vector<absl::StatusOr<Submitted>> results;
  results.reserve(tasks.size());
  if (all_or_nothing) {
    absl::Status refused;
    if (static_cast<int64_t>(tasks_.size() + tasks.size()) > options_.max_tasks_count) {
      refused = QueueFull("task_queue.max_tasks_count");
    }
    int64_t batch_bytes = bytes_;
    for (const NewTask& task : tasks) {
      Submitted known;
      if (auto checked = CheckSubmit(task, &known); refused.ok()) refused = checked.status();
      batch_bytes += SizeOf(task.args);
    }
    if (refused.ok() && batch_bytes > options_.max_bytes) refused = QueueFull("memory");
    if (!refused.ok()) {
      for (size_t i = 0; i < tasks.size(); ++i) results.emplace_back(refused);
      co_return results;
    }
  }
  for (const NewTask& task : tasks) results.push_back(SubmitOne(task, now));
  co_return results;
}

// --- sessions and leases

Async<absl::Status> MemoryTaskStore::OpenSession(SessionLease session) {
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
  std::vector<std::string> wanted;
  if (!paused_.contains("*")) {
    for (const LeaseType& type : types) {
      if (!paused_.contains(type.name)) wanted.push_back(type.name);
    }
  }
  std::vector<TaskRecord> leased;
  while (static_cast<int>(leased.size()) < max_count) {
    const std::string task_id = waiting_.Next(wanted, now);
    if (task_id.empty()) break;
    Entry& entry = tasks_.at(task_id);
    const absl::Status status =
        Change(entry, [&](TaskRecord& task) { return task_state::Lease(task, session_id, now); });
    if (!status.ok()) co_return status;
    Announce(entry, "task_started");
    leased.push_back(entry.task);
  }
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

// --- reads

Async<absl::StatusOr<TaskRecord>> MemoryTaskStore::Get(std::string_view task_id) {
  sync::MutexLock lock(mu_);
  const Entry* entry = Find(task_id);
  if (entry == nullptr) co_return TaskNotFound(task_id);
  co_return entry->task;
}

Async<absl::StatusOr<std::vector<std::optional<TaskRecord>>>> MemoryTaskStore::BulkGet(
    std::span<const std::string> task_ids) {
  sync::MutexLock lock(mu_);
  std::vector<std::optional<TaskRecord>> found;
  for (const std::string& task_id : task_ids) {
    const Entry* entry = Find(task_id);
    found.push_back(entry == nullptr ? std::nullopt : std::optional<TaskRecord>(entry->task));
  }
  co_return found;
}

Async<absl::StatusOr<TaskPage>> MemoryTaskStore::ListByOwner(const ListQuery& query) {
  sync::MutexLock lock(mu_);
  TaskPage page;
  auto owned = by_owner_.find(query.owner);
  if (owned == by_owner_.end()) co_return page;
  uint64_t before = UINT64_MAX;
  if (!query.after.empty() && !absl::SimpleAtoi(query.after, &before)) {
    co_return status::FieldError("page_token", "is not a token of this listing");
  }
  int scanned = 0;
  auto it = owned->second.lower_bound(before);
  while (it != owned->second.begin()) {
    --it;
    const TaskRecord& task = it->second->task;
    const bool full = static_cast<int>(page.tasks.size()) >= query.limit;
    if (full || scanned++ >= kMaxListScanCount) {
      page.next = absl::StrCat(std::next(it)->first);
      break;
    }
    if (query.tenant && task.tenant != *query.tenant) continue;
    if (!query.task_type.empty() && task.task_type != query.task_type) continue;
    if (!query.statuses.empty() && std::find(query.statuses.begin(), query.statuses.end(),
                                             task.status) == query.statuses.end()) {
      continue;
    }
    page.tasks.push_back(task);
  }
  co_return page;
}

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
  const absl::Status status =
      Change(*entry, [&](TaskRecord& task) { return task_state::Restart(task, now); });
  if (!status.ok()) co_return status;
  Announce(*entry, task_state::EventType(entry->task));
  co_return entry->task;
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
    const task_state::Failure overdue{
        {task_state::kDeadlineExceeded,
         absl::StrCat("attempt ", task.attempt, " did not end within ",
                      absl::FormatDuration(task.attempt_deadline),
                      "; allow more time or give it less to do"),
         true},
        absl::ZeroDuration(),
        std::nullopt,
        jitter,
        false};
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
  for (auto& [id, entry] : tasks_) {
    const TaskRecord& task = entry.task;
    if (query.task_type != "*" && query.task_type != task.task_type) continue;
    if (query.tenant && *query.tenant != task.tenant) continue;
    if (std::find(query.statuses.begin(), query.statuses.end(), task.status) ==
        query.statuses.end()) {
      continue;
    }
    if (static_cast<int>(found.size()) >= query.max_count) {
      result.more = true;
      break;
    }
    found.push_back(&entry);
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

// --- the rest

Async<absl::Status> MemoryTaskStore::SaveShared(std::string_view kind, std::string_view name,
                                                std::string document, absl::Duration /*ttl*/) {
  sync::MutexLock lock(mu_);
  shared_[{std::string(kind), std::string(name)}] = std::move(document);
  co_return absl::OkStatus();
}

Async<absl::StatusOr<std::vector<std::pair<std::string, std::string>>>> MemoryTaskStore::LoadShared(
    std::string_view kind) {
  sync::MutexLock lock(mu_);
  std::vector<std::pair<std::string, std::string>> found;
  for (const auto& [key, document] : shared_) {
    if (key.first == kind) found.emplace_back(key.second, document);
  }
  co_return found;
}

Async<absl::StatusOr<std::vector<std::string>>> MemoryTaskStore::SetPaused(
    std::string_view task_type, bool paused) {
  sync::MutexLock lock(mu_);
  if (paused) paused_.insert(std::string(task_type));
  if (!paused && task_type == "*") paused_.clear();
  if (!paused) paused_.erase(std::string(task_type));
  co_return std::vector<std::string>(paused_.begin(), paused_.end());
}

Async<absl::StatusOr<StoreStats>> MemoryTaskStore::Stats() {
  sync::MutexLock lock(mu_);
  StoreStats stats;
  stats.by_status = by_status_;
  for (const auto& [key, depth] : depths_) {
    stats.depths.push_back(
        {key.first, key.second, static_cast<int64_t>(depth.pending.size()), depth.scheduled_count,
         depth.pending.empty() ? absl::InfiniteFuture() : *depth.pending.begin()});
  }
  stats.paused_task_types.assign(paused_.begin(), paused_.end());
  stats.outbox_count = static_cast<int64_t>(outbox_.size());
  stats.outbox_dropped_count = outbox_dropped_count_;
  stats.held_bytes = bytes_;
  co_return stats;
}

Async<absl::StatusOr<std::vector<OutboxEntry>>> MemoryTaskStore::ReadOutbox(int /*part*/,
                                                                            int64_t after_sequence,
                                                                            int max_count) {
  sync::MutexLock lock(mu_);
  std::vector<OutboxEntry> entries;
  for (const OutboxEntry& entry : outbox_) {
    if (static_cast<int>(entries.size()) >= max_count) break;
    if (entry.sequence <= after_sequence) continue;
    entries.push_back(entry);
    read_sequence_ = std::max(read_sequence_, entry.sequence);
  }
  co_return entries;
}

Async<absl::Status> MemoryTaskStore::AckOutbox(int /*part*/, int64_t up_to_sequence) {
  sync::MutexLock lock(mu_);
  while (!outbox_.empty() && outbox_.front().sequence <= up_to_sequence) outbox_.pop_front();
  co_return absl::OkStatus();
}

}  // namespace slipstream::task_queue
