#include "services/task_queue/open_task_store.h"

#include "libs/status/status.h"
#include "services/task_queue/memory_task_store.h"
#include "slipstream/config/v1/config.pb.h"

namespace slipstream::task_queue {

absl::StatusOr<std::unique_ptr<TaskStore>> OpenTaskStore(service::Context& context) {
  const config::v1::TaskQueueConfig& config = context.config.task_queue();
  if (!config.redis_url().empty()) {
    return status::Error(absl::StatusCode::kFailedPrecondition, "STORE_NOT_BUILT",
                         "task_queue.redis_url is set, but this build keeps tasks in memory only; "
                         "leave it empty");
  }
  MemoryTaskStoreOptions options;
  options.max_tasks_count = config.max_tasks_count();
  options.retry = {absl::Milliseconds(config.retry_backoff_base_ms()),
                   absl::Milliseconds(config.retry_backoff_max_ms())};
  return std::make_unique<MemoryTaskStore>(options);
}

}  // namespace slipstream::task_queue
