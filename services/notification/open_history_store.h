// The one place that names the concrete stores of notifications.
//
// Thread safety: a free function. Errors: INVALID_ARGUMENT for a Redis URL or certificate that
// can't be used. A Redis that does not answer is no error: the service begins degraded.
#ifndef SERVICES_NOTIFICATION_OPEN_HISTORY_STORE_H_
#define SERVICES_NOTIFICATION_OPEN_HISTORY_STORE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "libs/service/context.h"
#include "services/notification/history_store.h"
#include "services/notification/presence_directory.h"

namespace slipstream::notification {

struct OpenedHistory {
  std::unique_ptr<HistoryStore> store;
  std::unique_ptr<PresenceDirectory> directory;  // null: this is the only node
};

// What notification.redis_url asks for: Redis, or this process's memory when it is empty.
absl::StatusOr<OpenedHistory> OpenHistory(service::Context& context);

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_OPEN_HISTORY_STORE_H_
