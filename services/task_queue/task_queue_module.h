// The task queue service (with budget, schedule, webhook and artifact) as a part of a process: its
// own binary's, or the standalone one's. The one place that names the concrete stores.
#ifndef SERVICES_TASK_QUEUE_TASK_QUEUE_MODULE_H_
#define SERVICES_TASK_QUEUE_TASK_QUEUE_MODULE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "libs/service/module.h"

namespace slipstream::task_queue {

// FAILED_PRECONDITION when task_queue.redis_url is set (reason STORE_NOT_BUILT) or the artifact
// folder can't be used.
absl::StatusOr<std::unique_ptr<service::Module>> MakeTaskQueueModule(service::Context& context);

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_TASK_QUEUE_MODULE_H_
