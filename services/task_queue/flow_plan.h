// The order in which the entries of a bulk submit are accepted, from what each depends on.
//
// "#n" names entry n (from 0) of the same bulk submit, before or after; everything else is a task's
// id. Entries are sorted so that each comes after those it names (Kahn, 1962).
//
// Thread safety: pure functions.
#ifndef SERVICES_TASK_QUEUE_FLOW_PLAN_H_
#define SERVICES_TASK_QUEUE_FLOW_PLAN_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace slipstream::task_queue {

inline constexpr char kCyclicFlow[] = "CYCLIC_FLOW";

struct FlowPlan {
  std::vector<size_t> order;  // all entries, each after those it names
  // Of each entry: the entries it names, the ids it names, and why it can't be accepted.
  // INVALID_ARGUMENT naming depends_on; reason CYCLIC_FLOW for one that waits for itself.
  std::vector<std::vector<size_t>> entries;
  std::vector<std::vector<std::string>> task_ids;
  std::vector<absl::Status> refused;
};

FlowPlan PlanFlow(const std::vector<const std::vector<std::string>*>& depends_on);

// FAILED_PRECONDITION, DEPENDENCY_FAILED: an entry it names was refused.
absl::Status EntryRefused(size_t entry);

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_FLOW_PLAN_H_
