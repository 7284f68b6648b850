// The task types that this worker ships, ready for its session: handlers wired to what they need.
//
// A new type is one more entry in the table of worker_tasks.cc.
#ifndef SERVICES_WORKER_WORKER_TASKS_H_
#define SERVICES_WORKER_WORKER_TASKS_H_

#include <functional>
#include <vector>

#include "libs/client/worker/task.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/metrics/registry.h"
#include "services/worker/owner_access.h"
#include "services/worker/pdf/renderer.h"
#include "services/worker/rfc_draft/drafter.h"

namespace slipstream::worker {

// All of it outlives the handlers.
struct WorkerTaskDeps {
  rfc_draft::Drafter* drafter = nullptr;
  pdf::PdfRenderer* renderer = nullptr;
  const clock::Clock* clock = nullptr;
  // Asked when a task begins: the peers' addresses are known only then.
  std::function<OwnerAccess&()> access;
  metrics::Registry* metrics = nullptr;
  logging::Logger logger;
};

std::vector<worker_client::TaskRegistration> WorkerTasks(const WorkerTaskDeps& deps);

}  // namespace slipstream::worker

#endif  // SERVICES_WORKER_WORKER_TASKS_H_
