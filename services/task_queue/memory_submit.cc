// MemoryTaskStore: what becomes of a submit. A submit is planned first, which changes nothing, so
// that one that is refused leaves no trace.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/memory_task_store.h"
#include "services/task_queue/task_keys.h"

namespace slipstream::task_queue {

absl::StatusOr<const MemoryTaskStore::Entry*> MemoryTaskStore::FindRequest(
    const NewTask& task) const {
  auto request = requests_.find(RequestKeyOf(task));
  if (request == requests_.end()) {
    if (static_cast<int64_t>(requests_.size()) < options_.max_tasks_count) return nullptr;
    return QueueFull("request ids kept for 24 h");
  }
  const std::string& first_id = request->second.task_id;
  if (request->second.fingerprint != task.fingerprint) return RequestIdReused(first_id);
  auto first = tasks_.find(first_id);
  if (first != tasks_.end()) return &first->second;
  return RequestAlreadyDone(first_id);
}

absl::Status MemoryTaskStore::PlanUnique(const NewTask& task, Plan& plan) {
  auto taken = unique_.find(UniqueKeyOf(task.owner, task.tenant, task.unique_key));
  if (taken == unique_.end()) return absl::OkStatus();
  const TaskRecord& holder = taken->second->task;
  if (holder.status == TaskStatus::kRunning || task.unique_policy == UniquePolicy::kReject) {
    return UniqueKeyTaken(holder.task_id);
  }
  // Arguments of one type mean nothing to another.
  if (task.unique_policy == UniquePolicy::kDebounce && holder.task_type != task.task_type) {
    return UniqueKeyTaken(holder.task_id);
  }
  plan.holder = taken->second;
  return absl::OkStatus();
}

absl::Status MemoryTaskStore::PlanDependencies(const NewTask& task, const BatchPlan& batch,
                                               Plan& plan) {
  for (const std::string& named : task.depends_on) {
    auto alias = batch.aliases.find(named);
    const std::string& id = alias == batch.aliases.end() ? named : alias->second;
    plan.depends_on.push_back(id);
    if (batch.task_ids.contains(id)) continue;
    const Entry* on = Find(id);
    // Another's task and no task are the same answer.
    if (on == nullptr || on->task.owner != task.owner || on->task.tenant != task.tenant) {
      return UnknownDependency(named);
    }
    const bool replaced = on == plan.holder || batch.replaced_ids.contains(id);
    if (replaced) return DependencyEnded(id, TaskStatus::kCancelled);
    if (on->task.status == TaskStatus::kSucceeded) continue;
    if (task_state::IsFinal(on->task.status)) return DependencyEnded(id, on->task.status);
    plan.waits_for.push_back(id);
  }
  return absl::OkStatus();
}

absl::StatusOr<MemoryTaskStore::Plan> MemoryTaskStore::PlanSubmit(const NewTask& task,
                                                                  const BatchPlan& batch) {
  Plan plan;
  if (!task.request_id.empty()) {
    auto known = FindRequest(task);
    if (!known.ok()) return known.status();
    plan.known = *known;
    if (plan.known != nullptr) return plan;
  }
  if (!task.unique_key.empty()) {
    if (absl::Status free = PlanUnique(task, plan); !free.ok()) return free;
  }
  const bool debounced = plan.holder != nullptr && task.unique_policy == UniquePolicy::kDebounce;
  if (!debounced) {
    if (static_cast<int64_t>(tasks_.size()) >= options_.max_tasks_count) {
      return QueueFull("task_queue.max_tasks_count");
    }
    if (tasks_.contains(task.task_id)) {
      return status::Error(absl::StatusCode::kInternal, "TASK_ID_TAKEN",
                           "a new task got an id that is in use; submit again");
    }
    if (absl::Status may = PlanDependencies(task, batch, plan); !may.ok()) return may;
  }
  if (bytes_ + SizeOf(task.args) > options_.max_bytes) return QueueFull("memory for arguments");
  return plan;
}

absl::Status MemoryTaskStore::PlanBatch(std::span<const NewTask> tasks) {
  if (static_cast<int64_t>(tasks_.size() + tasks.size()) > options_.max_tasks_count) {
    return QueueFull("task_queue.max_tasks_count");
  }
  BatchPlan batch;
  int64_t batch_bytes = bytes_;
  for (const NewTask& task : tasks) {
    auto plan = PlanSubmit(task, batch);
    if (!plan.ok()) return plan.status();
    if (plan->known != nullptr) {
      batch.aliases[task.task_id] = plan->known->task.task_id;
      continue;
    }
    if (!task.request_id.empty()) {
      auto [seen, first] = batch.requests.emplace(RequestKeyOf(task), &task);
      const NewTask& earlier = *seen->second;
      if (earlier.fingerprint != task.fingerprint) return RequestIdReused(earlier.task_id);
      if (!first) {
        batch.aliases[task.task_id] = earlier.task_id;
        continue;
      }
    }
    if (!task.unique_key.empty() &&
        !batch.unique_keys.insert(UniqueKeyOf(task.owner, task.tenant, task.unique_key)).second) {
      return UniqueKeyTaken("of this batch");
    }
    if (plan->holder != nullptr && task.unique_policy == UniquePolicy::kReplace) {
      batch.replaced_ids.insert(plan->holder->task.task_id);
    }
    if (plan->holder != nullptr && task.unique_policy == UniquePolicy::kDebounce) {
      batch.aliases[task.task_id] = plan->holder->task.task_id;
    } else {
      batch.task_ids.insert(task.task_id);
    }
    batch_bytes += SizeOf(task.args);
  }
  return batch_bytes > options_.max_bytes ? QueueFull("memory for arguments") : absl::OkStatus();
}

absl::StatusOr<Submitted> MemoryTaskStore::SubmitOne(const NewTask& task, BatchPlan& batch,
                                                     absl::Time now) {
  absl::StatusOr<Plan> plan = PlanSubmit(task, batch);
  if (!plan.ok()) return plan.status();
  Submitted out;
  if (plan->known != nullptr) {
    out.task = plan->known->task;
    out.duplicate = true;
    batch.aliases[task.task_id] = out.task.task_id;
    return out;
  }
  if (plan->holder != nullptr) {
    Entry& holder = *plan->holder;
    out.debounced = task.unique_policy == UniquePolicy::kDebounce;
    // What it was submitted with is no longer what it is.
    if (out.debounced && holder.submitted != nullptr) {
      unstarted_.erase(holder.order);
      holder.submitted.reset();
    }
    const absl::Status changed = Change(holder, [&](TaskRecord& held) {
      return out.debounced
                 ? task_state::Debounce(held, task, now)
                 : task_state::Cancel(held, "replaced by a later submit with its unique_key", now);
    });
    if (!changed.ok()) return changed;
    if (out.debounced) {
      out.task = holder.task;
      batch.aliases[task.task_id] = out.task.task_id;
    } else {
      Announce(holder, task_state::EventType(holder.task));
      out.replaced = holder.task;
    }
  }
  if (!out.debounced) {
    Entry& entry = Keep(task_state::Create(task, now, std::move(plan->waits_for)));
    entry.task.depends_on = std::move(plan->depends_on);
    if (options_.keeps_submits && task.depends_on.empty()) {
      entry.submitted = std::make_unique<NewTask>(task);
    }
    Index(entry);
    out.task = entry.task;
  }
  if (!task.request_id.empty()) {
    const std::string key = RequestKeyOf(task);
    requests_[key] = {out.task.task_id, task.fingerprint, now + kRequestIdTtl};
    request_timers_.insert({now + kRequestIdTtl, key});
  }
  return out;
}

Async<absl::StatusOr<std::vector<absl::StatusOr<Submitted>>>> MemoryTaskStore::SubmitBatch(
    std::span<const NewTask> tasks, bool all_or_nothing, absl::Time now) {
  sync::MutexLock lock(mu_);
  std::vector<absl::StatusOr<Submitted>> results;
  results.reserve(tasks.size());
  if (all_or_nothing) {
    if (absl::Status refused = PlanBatch(tasks); !refused.ok()) {
      results.assign(tasks.size(), refused);
      co_return results;
    }
  }
  BatchPlan batch;
  for (const NewTask& task : tasks) results.push_back(SubmitOne(task, batch, now));
  co_return results;
}

}  // namespace slipstream::task_queue
