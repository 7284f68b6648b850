// The order in which waiting tasks start: tenants in turn, within a tenant by priority with aging.
//
// Tenants take turns by stride scheduling (Waldspurger and Weihl, 1995) with equal shares: each has
// a pass that grows by one per task started, the lowest goes next, and a tenant that begins to wait
// joins at the pass served last, or after it when it was just served. So one tenant's million tasks
// delay another's single task by one start, whoever submits one by one is no better off, and who
// could not be served for a while has no claim to more than its turn. Users without a tenant each
// count as one.
//
// Aging raises a task by one priority for each `aging_step` it has waited, at most to URGENT; tasks
// of one level go by age. So a LOW task waits behind its own tenant's newer tasks for at most three
// steps.
//
// Cost: logarithmic in tasks and tenants, linear in the types asked for.
// Thread safety: none of its own; the store's mutex guards it.
#ifndef SERVICES_TASK_QUEUE_WAITING_TASKS_H_
#define SERVICES_TASK_QUEUE_WAITING_TASKS_H_

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "absl/time/time.h"
#include "services/task_queue/task.h"

namespace slipstream::task_queue {

class WaitingTasks {
 public:
  explicit WaitingTasks(absl::Duration aging_step) : aging_step_(aging_step) {}

  // REQUIRES: not added yet; the record outlives its place here.
  void Add(const TaskRecord& task, uint64_t order);
  // REQUIRES: added with the same order and ready_at.
  void Remove(const TaskRecord& task, uint64_t order);

  // The id of the task to start next, or empty. The caller charges its turn, unless it turns out
  // that it can't start, and removes it.
  std::string Next(std::span<const std::string_view> task_types, absl::Time now) const;
  // The task, which is still here, starts: its tenant has had its turn.
  void Charge(const TaskRecord& task);

 private:
  // (since when it waits, order of arrival) -> task
  using Lane = std::map<std::pair<absl::Time, uint64_t>, const TaskRecord*>;
  struct Lanes {
    std::array<Lane, 4> by_priority;  // index: priority - 1
    size_t size = 0;
  };
  struct Tenant {
    uint64_t pass = 0;
    std::map<std::string, Lanes, std::less<>> types;
  };

  const TaskRecord* Best(const Tenant& tenant, std::span<const std::string_view> task_types,
                         absl::Time now) const;

  static constexpr size_t kMaxLeftCount = 10'000;

  const absl::Duration aging_step_;
  uint64_t virtual_time_ = 0;   // the highest pass served; never goes back
  std::set<std::string> left_;  // tenants that were served at it and have nothing waiting now
  std::unordered_map<std::string, Tenant> tenants_;
  // type -> (pass, tenant), for each tenant with a waiting task of that type
  std::map<std::string, std::set<std::pair<uint64_t, std::string>>, std::less<>> turns_;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_WAITING_TASKS_H_
