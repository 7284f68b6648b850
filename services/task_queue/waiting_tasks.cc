#include "services/task_queue/waiting_tasks.h"

#include <algorithm>

#include "services/task_queue/task_keys.h"

namespace slipstream::task_queue {

namespace {

size_t LaneIndex(TaskPriority priority) {
  return static_cast<size_t>(std::clamp(static_cast<int>(priority), 1, 4) - 1);
}

int64_t Level(const TaskRecord& task, absl::Duration aging_step, absl::Time now) {
  absl::Duration rest;
  const absl::Duration waited = std::max(now - task.ready_at, absl::ZeroDuration());
  const int64_t steps = absl::IDivDuration(waited, aging_step, &rest);
  return std::min<int64_t>(static_cast<int64_t>(task.priority) + steps, 4);
}

}  // namespace

void WaitingTasks::Add(const TaskRecord& task, uint64_t order) {
  const std::string key = TenantKeyOf(task.owner, task.tenant);
  auto [it, joined] = tenants_.try_emplace(key);
  if (joined) it->second.pass = virtual_time_ + left_.erase(key);
  Lanes& lanes = it->second.types[task.task_type];
  if (lanes.size++ == 0) turns_[task.task_type].insert({it->second.pass, key});
  lanes.by_priority[LaneIndex(task.priority)].emplace(std::pair(task.ready_at, order), &task);
}

void WaitingTasks::Remove(const TaskRecord& task, uint64_t order) {
  const std::string key = TenantKeyOf(task.owner, task.tenant);
  auto tenant = tenants_.find(key);
  if (tenant == tenants_.end()) return;
  auto type = tenant->second.types.find(task.task_type);
  if (type == tenant->second.types.end()) return;
  Lanes& lanes = type->second;
  if (lanes.by_priority[LaneIndex(task.priority)].erase({task.ready_at, order}) == 0) return;
  if (--lanes.size > 0) return;
  auto turns = turns_.find(task.task_type);
  turns->second.erase({tenant->second.pass, key});
  if (turns->second.empty()) turns_.erase(turns);
  tenant->second.types.erase(type);
  if (!tenant->second.types.empty()) return;
  if (left_.size() >= kMaxLeftCount) left_.clear();
  if (tenant->second.pass > virtual_time_) left_.insert(key);
  tenants_.erase(tenant);
}

std::string WaitingTasks::Next(std::span<const std::string_view> task_types, absl::Time now) const {
  const std::pair<uint64_t, std::string>* turn = nullptr;
  for (const std::string_view type : task_types) {
    auto it = turns_.find(type);
    if (it == turns_.end()) continue;
    if (turn == nullptr || *it->second.begin() < *turn) turn = &*it->second.begin();
  }
  if (turn == nullptr) return "";
  return Best(tenants_.at(turn->second), task_types, now)->task_id;
}

const TaskRecord* WaitingTasks::Best(const Tenant& tenant,
                                     std::span<const std::string_view> task_types,
                                     absl::Time now) const {
  const TaskRecord* best = nullptr;
  std::pair<int64_t, absl::Time> best_rank;
  for (const std::string_view type : task_types) {
    auto it = tenant.types.find(type);
    if (it == tenant.types.end()) continue;
    for (const Lane& lane : it->second.by_priority) {
      if (lane.empty()) continue;
      const TaskRecord* head =
          lane.begin()->second;  // the oldest of its lane has its highest level
      const std::pair rank(-Level(*head, aging_step_, now), head->ready_at);
      if (best != nullptr && best_rank <= rank) continue;
      best = head;
      best_rank = rank;
    }
  }
  return best;
}

void WaitingTasks::Charge(const TaskRecord& task) {
  const std::string key = TenantKeyOf(task.owner, task.tenant);
  Tenant& tenant = tenants_.at(key);
  if (tenant.pass > virtual_time_) {
    virtual_time_ = tenant.pass;
    left_.clear();
  }
  for (const auto& [type, lanes] : tenant.types) {
    auto& turns = turns_[type];
    turns.erase({tenant.pass, key});
    turns.insert({virtual_time_ + 1, key});
  }
  tenant.pass = virtual_time_ + 1;
}

}  // namespace slipstream::task_queue
