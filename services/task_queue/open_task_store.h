// The one place that names the concrete stores of tasks.
#ifndef SERVICES_TASK_QUEUE_OPEN_TASK_STORE_H_
#define SERVICES_TASK_QUEUE_OPEN_TASK_STORE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "libs/service/context.h"
#include "services/task_queue/task_store.h"

namespace slipstream::task_queue {

// The store that task_queue.redis_url and fallback ask for: Redis, with memory behind it or not, or
// memory alone when the URL is empty. Blocks until Redis answers, at most redis_start_timeout_ms.
// FAILED_PRECONDITION for a Redis that may evict tasks, is too old, or holds tasks in another
// number of shards.
absl::StatusOr<std::unique_ptr<TaskStore>> OpenTaskStore(service::Context& context);

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_OPEN_TASK_STORE_H_
