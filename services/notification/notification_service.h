// slipstream.notification.v1.NotificationService over the engine: checks requests, scopes them to
// the caller, and turns records into messages.
//
// Thread safety: handlers run at the same time on any thread; the service has no state of its own.
#ifndef SERVICES_NOTIFICATION_NOTIFICATION_SERVICE_H_
#define SERVICES_NOTIFICATION_NOTIFICATION_SERVICE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "libs/clock/clock.h"
#include "libs/random/random.h"
#include "libs/rpc/dispatcher.h"
#include "services/notification/stream_deps.h"

namespace grpc {
class Service;
}

namespace slipstream::notification {

struct ServiceDeps {
  StreamDeps streams;
  const clock::Clock& clock;
  random::Random& random;
  // "memory" or "redis".
  std::string store_name;
};

// All references in `deps` and `dispatcher` outlive the service. NOT_FOUND and FAILED_PRECONDITION
// as MethodTable::ForService.
absl::StatusOr<std::unique_ptr<grpc::Service>> MakeNotificationService(
    const rpc::Dispatcher& dispatcher, ServiceDeps deps);

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_NOTIFICATION_SERVICE_H_
