#include "services/task_queue/memory_task_store.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/task_keys.h"

namespace slipstream::task_queue {

namespace {

// Records looked at for one page, so that a rare filter over a long list stays bounded; the page
// then ends early, with a token.
constexpr int kMaxListScanCount = 10'000;

}  // namespace

MemoryTaskStore::Entry* MemoryTaskStore::Find(std::string_view task_id) {
  auto it = tasks_.find(std::string(task_id));
  return it == tasks_.end() ? nullptr : &it->second;
}

// --- indexes and outbox

MemoryTaskStore::Entry& MemoryTaskStore::Keep(TaskRecord task) {
  Entry& entry = tasks_[task.task_id];
  tasks_count_.store(static_cast<int64_t>(tasks_.size()), std::memory_order_release);
  entry.task = std::move(task);
  entry.task.durable = false;
  entry.order = next_order_++;
  by_owner_[entry.task.owner].emplace(entry.order, &entry);
  return entry;
}

void MemoryTaskStore::Index(Entry& entry) {
  const TaskRecord& task = entry.task;
  if (entry.submitted != nullptr) {
    // From its first start on it has a history that a new submit would not have.
    const bool started = task.lease_epoch > 0 || task_state::IsFinal(task.status);
    if (started) entry.submitted.reset();
    if (!started) unstarted_.emplace(entry.order, &entry);
  }
  ++by_status_[static_cast<size_t>(task.status)];
  bytes_ += SizeOf(task.args) + SizeOf(task.result);
  switch (task.status) {
    case TaskStatus::kPending:
      depths_[{task.task_type, task.priority}].pending.insert({task.ready_at, entry.order, &entry});
      Offer(entry);
      break;
    case TaskStatus::kScheduled:
      depths_[{task.task_type, task.priority}].scheduled.emplace(entry.order, &entry);
      for (const std::string& id : task.waits_for) dependents_[id].insert(task.task_id);
      break;
    case TaskStatus::kRunning:
      sessions_[task.session_id].task_ids.insert(task.task_id);
      limits_.Started(task.task_type);
      if (!task.concurrency_key.empty()) {
        const std::string key = ConcurrencyKeyOf(task);
        Concurrency& of = concurrency_[key];
        ++of.running_count;
        OfferNext(key, of);
      }
      break;
    case TaskStatus::kFailed:
      depths_[{task.task_type, task.priority}].failed.emplace(entry.order, &entry);
      break;
    default:
      break;
  }
  if (!task.unique_key.empty() && !task_state::IsFinal(task.status)) {
    unique_[UniqueKeyOf(task.owner, task.tenant, task.unique_key)] = &entry;
  }
  if (task.finished_at) finished_.insert({*task.finished_at, entry.order, &entry});
  const absl::Time deadline = task_state::NextDeadline(task);
  if (deadline != absl::InfiniteFuture()) timers_.insert({deadline, entry.order, &entry});
}

void MemoryTaskStore::Unindex(Entry& entry) {
  const TaskRecord& task = entry.task;
  if (entry.submitted != nullptr) unstarted_.erase(entry.order);
  --by_status_[static_cast<size_t>(task.status)];
  bytes_ -= SizeOf(task.args) + SizeOf(task.result);
  auto depth = depths_.find({task.task_type, task.priority});
  switch (task.status) {
    case TaskStatus::kPending:
      depth->second.pending.erase({task.ready_at, entry.order, &entry});
      Withdraw(entry);
      break;
    case TaskStatus::kScheduled:
      depth->second.scheduled.erase(entry.order);
      for (const std::string& id : task.waits_for) {
        auto of = dependents_.find(id);
        if (of == dependents_.end()) continue;
        of->second.erase(task.task_id);
        if (of->second.empty()) dependents_.erase(of);
      }
      break;
    case TaskStatus::kRunning:
      if (auto session = sessions_.find(task.session_id); session != sessions_.end()) {
        session->second.task_ids.erase(task.task_id);
      }
      limits_.Stopped(task.task_type);
      if (!task.concurrency_key.empty()) {
        const std::string key = ConcurrencyKeyOf(task);
        Concurrency& of = concurrency_[key];
        --of.running_count;
        OfferNext(key, of);
      }
      break;
    case TaskStatus::kFailed:
      depth->second.failed.erase(entry.order);
      break;
    default:
      break;
  }
  if (depth != depths_.end() && depth->second.empty()) depths_.erase(depth);
  if (!task.unique_key.empty() && !task_state::IsFinal(task.status)) {
    unique_.erase(UniqueKeyOf(task.owner, task.tenant, task.unique_key));
  }
  if (task.finished_at) finished_.erase({*task.finished_at, entry.order, &entry});
  timers_.erase({task_state::NextDeadline(task), entry.order, &entry});
}

void MemoryTaskStore::Offer(Entry& entry) {
  if (entry.task.concurrency_key.empty()) {
    waiting_.Add(entry.task, entry.order);
    return;
  }
  const std::string key = ConcurrencyKeyOf(entry.task);
  Concurrency& of = concurrency_[key];
  of.pending.insert({entry.task.ready_at, entry.order, &entry});
  OfferNext(key, of);
}

void MemoryTaskStore::Withdraw(Entry& entry) {
  if (entry.task.concurrency_key.empty()) {
    waiting_.Remove(entry.task, entry.order);
    return;
  }
  const std::string key = ConcurrencyKeyOf(entry.task);
  Concurrency& of = concurrency_[key];
  of.pending.erase({entry.task.ready_at, entry.order, &entry});
  if (of.offered == &entry) {
    waiting_.Remove(entry.task, entry.order);
    of.offered = nullptr;
  }
  OfferNext(key, of);
}

void MemoryTaskStore::OfferNext(const std::string& key, Concurrency& of) {
  Entry* next = nullptr;
  if (of.running_count == 0 && !of.pending.empty()) next = std::get<2>(*of.pending.begin());
  if (next != of.offered) {
    if (of.offered != nullptr) waiting_.Remove(of.offered->task, of.offered->order);
    if (next != nullptr) waiting_.Add(next->task, next->order);
    of.offered = next;
  }
  if (of.running_count == 0 && of.pending.empty()) concurrency_.erase(key);
}

void MemoryTaskStore::Forget(Entry& entry) {
  Unindex(entry);
  auto owned = by_owner_.find(entry.task.owner);
  owned->second.erase(entry.order);
  if (owned->second.empty()) by_owner_.erase(owned);
  const std::string task_id = entry.task.task_id;
  tasks_.erase(task_id);
  tasks_count_.store(static_cast<int64_t>(tasks_.size()), std::memory_order_release);
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

// --- what is shared, and figures

Async<absl::StatusOr<std::vector<std::string>>> MemoryTaskStore::SetPaused(
    std::string_view task_type, bool paused) {
  sync::MutexLock lock(mu_);
  if (paused) paused_.insert(std::string(task_type));
  if (!paused && task_type == "*") paused_.clear();
  if (!paused) paused_.erase(std::string(task_type));
  co_return std::vector<std::string>(paused_.begin(), paused_.end());
}

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

Async<absl::StatusOr<StoreStats>> MemoryTaskStore::Stats() {
  sync::MutexLock lock(mu_);
  StoreStats stats;
  stats.by_status = by_status_;
  for (const auto& [key, depth] : depths_) {
    if (depth.pending.empty() && depth.scheduled.empty()) continue;
    stats.depths.push_back(
        {key.first, key.second, static_cast<int64_t>(depth.pending.size()),
         static_cast<int64_t>(depth.scheduled.size()),
         depth.pending.empty() ? absl::InfiniteFuture() : std::get<0>(*depth.pending.begin())});
  }
  stats.paused_task_types.assign(paused_.begin(), paused_.end());
  stats.outbox_count = static_cast<int64_t>(outbox_.size());
  stats.outbox_dropped_count = outbox_dropped_count_;
  stats.held_bytes = bytes_;
  co_return stats;
}

}  // namespace slipstream::task_queue
