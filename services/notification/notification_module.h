// The notification service as a part of a process: its own binary's, or the standalone one's.
#ifndef SERVICES_NOTIFICATION_NOTIFICATION_MODULE_H_
#define SERVICES_NOTIFICATION_NOTIFICATION_MODULE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "libs/service/module.h"

namespace slipstream::notification {

// INVALID_ARGUMENT for a Redis URL or certificate that can't be used.
absl::StatusOr<std::unique_ptr<service::Module>> MakeNotificationModule(service::Context& context);

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_NOTIFICATION_MODULE_H_
