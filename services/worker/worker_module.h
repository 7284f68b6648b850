// The worker as a part of a process: its own binary's, or the standalone one's. It serves nothing;
// it takes tasks from the task queue and reaches the cache and the artifact service for their
// owners.
#ifndef SERVICES_WORKER_WORKER_MODULE_H_
#define SERVICES_WORKER_WORKER_MODULE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "libs/service/module.h"

namespace slipstream::worker {

// Ready while its session with the task queue stands.
absl::StatusOr<std::unique_ptr<service::Module>> MakeWorkerModule(service::Context& context);

}  // namespace slipstream::worker

#endif  // SERVICES_WORKER_WORKER_MODULE_H_
