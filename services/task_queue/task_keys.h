// Names under which stores find tasks by what a submit said. Lengths come first, so that no two
// owners and keys give the same name.
//
// Thread safety: pure functions.
#ifndef SERVICES_TASK_QUEUE_TASK_KEYS_H_
#define SERVICES_TASK_QUEUE_TASK_KEYS_H_

#include <string>
#include <string_view>

#include "services/task_queue/task.h"

namespace slipstream::task_queue {

inline std::string UniqueKeyOf(std::string_view owner, std::string_view tenant,
                               std::string_view key) {
  std::string name = std::to_string(owner.size());
  name.append(":").append(owner).append(std::to_string(tenant.size())).append(":");
  return name.append(tenant).append(key);
}

inline std::string RequestKeyOf(const NewTask& task) {
  return UniqueKeyOf(task.owner, task.tenant, task.request_id);
}

// Whose turn and whose concurrency key it is: the tenant, or the user without one.
inline std::string TenantKeyOf(std::string_view owner, std::string_view tenant) {
  std::string key(tenant.empty() ? "u/" : "t/");
  return key.append(tenant.empty() ? owner : tenant);
}

inline std::string ConcurrencyKeyOf(const TaskRecord& task) {
  const std::string tenant = TenantKeyOf(task.owner, task.tenant);
  return std::to_string(tenant.size()).append(":").append(tenant).append(task.concurrency_key);
}

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_TASK_KEYS_H_
