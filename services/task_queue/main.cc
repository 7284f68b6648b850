// The task queue service as a process of its own.
#include "libs/service/main.h"

#include "services/task_queue/task_queue_module.h"

int main(int argc, char** argv) {
  return slipstream::service::Main(argc, argv, {.name = "task_queue", .leaves_cores_to_grpc = true},
                                   {slipstream::task_queue::MakeTaskQueueModule});
}
