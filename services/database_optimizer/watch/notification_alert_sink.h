// AlertSink by the notification service: each change is a `performance_alert` on the channel
// `broadcast`, so every user who may read the database's figures hears of it.
//
// Payload: source `database_optimizer`, database, kind, severity (`warning`, `critical`), state
// (`raised`, `repeated`, `resolved`), object, message, raised_at. An idempotency key for each kind,
// object, state and period makes a repeat safe, and lets several optimizers that watch one database
// tell it once.
//
// Thread safety: one call at a time.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_NOTIFICATION_ALERT_SINK_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_NOTIFICATION_ALERT_SINK_H_

#include <memory>
#include <string>

#include "libs/postgres/connection.h"
#include "libs/service/context.h"
#include "services/database_optimizer/watch/alert_sink.h"
#include "slipstream/notification/v1/notification.grpc.pb.h"

namespace slipstream::database_optimizer {

// Which database it is: `name` is shown, `address` (host:port/name) tells it from others.
struct AlertedDatabase {
  std::string name;
  std::string address;
};

// `repeat`: the period.
notification::v1::PublishRequest ToPublishRequest(const AlertChange& change,
                                                  const AlertedDatabase& database,
                                                  absl::Duration repeat);

class NotificationAlertSink final : public AlertSink {
 public:
  // `peers` outlives this; the channel is asked for at the first call.
  // `url` of the database.
  NotificationAlertSink(service::Peers& peers, const std::string& url, absl::Duration repeat)
      : peers_(peers),
        database_{postgres::DatabaseText(url), postgres::AddressText(url)},
        repeat_(repeat) {}

  Async<absl::Status> Tell(std::span<const AlertChange> changes) override;

 private:
  service::Peers& peers_;
  const AlertedDatabase database_;
  const absl::Duration repeat_;
  std::unique_ptr<notification::v1::NotificationService::Stub> stub_;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_NOTIFICATION_ALERT_SINK_H_
