#include "libs/service/main.h"

#include "services/database_optimizer/database_optimizer_module.h"

int main(int argc, char** argv) {
  return slipstream::service::Main(argc, argv,
                                   {.name = "database_optimizer", .leaves_cores_to_grpc = true},
                                   {slipstream::database_optimizer::MakeDatabaseOptimizerModule});
}
