// The monitoring service as a module: see libs/service/module.h.
#ifndef SERVICES_MONITORING_MONITORING_MODULE_H_
#define SERVICES_MONITORING_MONITORING_MODULE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "libs/service/context.h"
#include "libs/service/module.h"

namespace slipstream::monitoring {

absl::StatusOr<std::unique_ptr<service::Module>> MakeMonitoringModule(service::Context& context);

}  // namespace slipstream::monitoring

#endif  // SERVICES_MONITORING_MONITORING_MODULE_H_
