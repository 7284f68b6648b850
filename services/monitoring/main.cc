#include "libs/service/main.h"

#include "services/monitoring/monitoring_module.h"

int main(int argc, char** argv) {
  return slipstream::service::Main(argc, argv, {.name = "monitoring"},
                                   {slipstream::monitoring::MakeMonitoringModule});
}
