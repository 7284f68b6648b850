// Names under which the memory store indexes tasks. Lengths come first, so that no two owners and
// keys give the same name.
#ifndef SERVICES_TASK_QUEUE_MEMORY_KEYS_H_
#define SERVICES_TASK_QUEUE_MEMORY_KEYS_H_

#include <string>
#include <string_view>

#include "services/task_queue/task.h"
#include "services/task_queue/waiting_tasks.h"

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

inline std::string ConcurrencyKeyOf(const TaskRecord& task) {
  const std::string tenant = TenantKey(task.owner, task.tenant);
  return std::to_string(tenant.size()).append(":").append(tenant).append(task.concurrency_key);
}

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_MEMORY_KEYS_H_
