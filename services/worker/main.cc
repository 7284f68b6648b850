// The worker as a process of its own. Its gRPC server has health and reflection only.
#include "libs/service/main.h"

#include "services/worker/worker_module.h"

int main(int argc, char** argv) {
  return slipstream::service::Main(argc, argv, {.name = "worker"},
                                   {slipstream::worker::MakeWorkerModule});
}
