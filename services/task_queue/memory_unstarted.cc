// MemoryTaskStore: what it tells a FallbackTaskStore, and tasks that leave it before their start.
#include <algorithm>

#include "services/task_queue/memory_task_store.h"
#include "services/task_queue/task_keys.h"

namespace slipstream::task_queue {

std::vector<MemoryTaskStore::Unstarted> MemoryTaskStore::TakeUnstarted(int max_count) {
  // Looked at in vain, such as many of one concurrency key: bounded, the next call goes on.
  constexpr int kMaxLooksPerTask = 16;
  sync::MutexLock lock(mu_);
  std::vector<Unstarted> taken;
  int looks_left = max_count * kMaxLooksPerTask;
  for (auto it = unstarted_.upper_bound(last_looked_at_); looks_left-- > 0;) {
    if (static_cast<int>(taken.size()) >= max_count) break;
    if (it == unstarted_.end()) {
      last_looked_at_ = 0;  // from the oldest again
      break;
    }
    Entry& entry = *it->second;
    last_looked_at_ = it->first;
    ++it;  // before the entry leaves the index
    if (dependents_.contains(entry.task.task_id)) continue;
    if (!entry.task.concurrency_key.empty()) {
      auto of = concurrency_.find(ConcurrencyKeyOf(entry.task));
      if (of != concurrency_.end() && of->second.running_count > 0) continue;
    }
    // Out of the index with it: Forget looks at `submitted` for that.
    NewTask submitted = *entry.submitted;
    taken.push_back({std::move(submitted), entry.task});
    Forget(entry);
  }
  return taken;
}

TaskRecord MemoryTaskStore::PutBack(TaskRecord task, std::optional<std::string> cancelled,
                                    absl::Time now) {
  sync::MutexLock lock(mu_);
  Entry& entry = Keep(std::move(task));
  Index(entry);
  if (cancelled) {
    const absl::Status ended = Change(entry, [&](TaskRecord& record) {
      return task_state::Cancel(record, *std::move(cancelled), now);
    });
    if (ended.ok()) Announce(entry, task_state::EventType(entry.task));
  }
  return entry.task;
}

void MemoryTaskStore::ForgetRequest(const NewTask& task) {
  if (task.request_id.empty()) return;
  sync::MutexLock lock(mu_);
  auto known = requests_.find(RequestKeyOf(task));
  if (known == requests_.end()) return;
  request_timers_.erase({known->second.until, known->first});
  requests_.erase(known);
}

int64_t MemoryTaskStore::waiting_count() const {
  if (empty()) return 0;
  sync::MutexLock lock(mu_);
  return by_status_[static_cast<size_t>(TaskStatus::kPending)];
}

int64_t MemoryTaskStore::unfinished_count() const {
  if (empty()) return 0;
  sync::MutexLock lock(mu_);
  int64_t count = 0;
  for (const TaskStatus status :
       {TaskStatus::kScheduled, TaskStatus::kPending, TaskStatus::kRunning}) {
    count += by_status_[static_cast<size_t>(status)];
  }
  return count;
}

bool MemoryTaskStore::Kept(std::string_view task_id) const {
  return tasks_.contains(std::string(task_id));
}

bool MemoryTaskStore::KeepsRequest(const NewTask& task) const {
  if (task.request_id.empty()) return false;
  auto known = requests_.find(RequestKeyOf(task));
  return known != requests_.end() && Kept(known->second.task_id);
}

bool MemoryTaskStore::Has(std::string_view task_id) const {
  if (empty()) return false;
  sync::MutexLock lock(mu_);
  return Kept(task_id);
}

bool MemoryTaskStore::HasRequest(const NewTask& task) const {
  if (empty()) return false;
  sync::MutexLock lock(mu_);
  return KeepsRequest(task);
}

bool MemoryTaskStore::Concerns(const NewTask& task) const {
  if (empty()) return false;
  sync::MutexLock lock(mu_);
  if (KeepsRequest(task)) return true;
  if (!task.unique_key.empty() &&
      unique_.contains(UniqueKeyOf(task.owner, task.tenant, task.unique_key))) {
    return true;
  }
  return std::any_of(task.depends_on.begin(), task.depends_on.end(),
                     [this](const std::string& id)
                         ABSL_NO_THREAD_SAFETY_ANALYSIS { return Kept(id); });
}

void MemoryTaskStore::MirrorPaused(const std::vector<std::string>& task_types) {
  sync::MutexLock lock(mu_);
  paused_ = {task_types.begin(), task_types.end()};
}

}  // namespace slipstream::task_queue
