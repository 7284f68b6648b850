// All services in one process: the embedded default. They still meet through gRPC, on the one
// server of this process, so that what runs here runs the same way apart.
#include "libs/service/main.h"

#include "services/cache/cache_module.h"
#include "services/database_optimizer/database_optimizer_module.h"
#include "services/edge/edge_module.h"
#include "services/monitoring/monitoring_module.h"
#include "services/notification/notification_module.h"
#include "services/task_queue/task_queue_module.h"
#include "services/worker/worker_module.h"

int main(int argc, char** argv) {
  // The edge comes last: it starts when all others do, and it is the first to stop taking requests.
  return slipstream::service::Main(
      argc, argv, {.name = "standalone"},
      {slipstream::cache::MakeCacheModule, slipstream::notification::MakeNotificationModule,
       slipstream::database_optimizer::MakeDatabaseOptimizerModule,
       slipstream::task_queue::MakeTaskQueueModule, slipstream::monitoring::MakeMonitoringModule,
       slipstream::worker::MakeWorkerModule, slipstream::edge::MakeEdgeModule});
}
