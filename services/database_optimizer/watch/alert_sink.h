// Where alerts are told: the seam between the watch and the notification service.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_ALERT_SINK_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_ALERT_SINK_H_

#include <span>

#include "absl/status/status.h"
#include "libs/async/async.h"
#include "services/database_optimizer/watch/alert_ledger.h"

namespace slipstream::database_optimizer {

// Thread safety: one call at a time.
class AlertSink {
 public:
  virtual ~AlertSink() = default;

  // All or nothing, as far as the caller knows: after an error the same changes are given again, so
  // each must be safe to repeat. Ends within a few seconds.
  virtual Async<absl::Status> Tell(std::span<const AlertChange> changes) = 0;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_ALERT_SINK_H_
