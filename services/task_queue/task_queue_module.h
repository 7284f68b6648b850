// The task queue service (with budget, schedule, webhook and artifact) as a part of a process: its
// own binary's, or the standalone one's. The one place that names the concrete stores.
#ifndef SERVICES_TASK_QUEUE_TASK_QUEUE_MODULE_H_
#define SERVICES_TASK_QUEUE_TASK_QUEUE_MODULE_H_

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "libs/service/module.h"
#include "services/task_queue/task_store.h"

namespace slipstream::task_queue {

// FAILED_PRECONDITION when task_queue.redis_url is set (reason STORE_NOT_BUILT) or the artifact
// folder can't be used.
absl::StatusOr<std::unique_ptr<service::Module>> MakeTaskQueueModule(service::Context& context);

// The same on another store, for tests.
using OpenStore =
    std::function<absl::StatusOr<std::unique_ptr<TaskStore>>(service::Context& context)>;
absl::StatusOr<std::unique_ptr<service::Module>> MakeTaskQueueModuleOn(service::Context& context,
                                                                       const OpenStore& open);

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_TASK_QUEUE_MODULE_H_
