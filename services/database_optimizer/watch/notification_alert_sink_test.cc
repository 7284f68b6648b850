// What an alert is on the wire, and the settings that the watch takes.
#include "services/database_optimizer/watch/notification_alert_sink.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "libs/timestamp/timestamp.h"
#include "services/database_optimizer/watch/database_watch.h"
#include "slipstream/config/v1/config.pb.h"

namespace slipstream::database_optimizer {
namespace {

using State = AlertChange::State;

const absl::Time kNow = absl::FromUnixSeconds(1767225600);

AlertChange Change(State state, absl::Time at = kNow) {
  AlertChange out;
  out.state = state;
  out.at = at;
  out.alert.set_kind(v1::DatabaseAlert::LOCK_WAIT);
  out.alert.set_severity(v1::DatabaseAlert::WARNING);
  out.alert.set_object("public.orders");
  out.alert.set_message("process 7 waits");
  *out.alert.mutable_raised_at() = timestamp::FromTime(kNow);
  return out;
}

TEST(NotificationAlertSink, APerformanceAlertToEverybody) {
  const auto request =
      ToPublishRequest(Change(State::kRaised), {"app", "db:5432/app"}, absl::Hours(1));
  EXPECT_EQ(request.channel(), "broadcast");
  EXPECT_EQ(request.type(), "performance_alert");
  const auto& payload = request.payload().fields();
  EXPECT_EQ(payload.at("source").string_value(), "database_optimizer");
  EXPECT_EQ(payload.at("database").string_value(), "app");
  EXPECT_EQ(payload.at("kind").string_value(), "lock_wait");
  EXPECT_EQ(payload.at("severity").string_value(), "warning");
  EXPECT_EQ(payload.at("state").string_value(), "raised");
  EXPECT_EQ(payload.at("object").string_value(), "public.orders");
  EXPECT_EQ(payload.at("message").string_value(), "process 7 waits");
  EXPECT_EQ(payload.at("raised_at").string_value(), "2026-01-01T00:00:00.000Z");
  EXPECT_LE(request.idempotency_key().size(), 128u);
}

TEST(NotificationAlertSink, TheKeyIsTheSameInEveryProcessAndAnotherForEachNews) {
  const auto key = [](const AlertChange& change, const std::string& address = "db/app") {
    return ToPublishRequest(change, {"app", address}, absl::Minutes(10)).idempotency_key();
  };
  EXPECT_EQ(key(Change(State::kRaised)), key(Change(State::kRaised, kNow + absl::Minutes(9))));
  std::set<std::string> keys = {key(Change(State::kRaised)), key(Change(State::kResolved)),
                                key(Change(State::kRepeated, kNow + absl::Minutes(10))),
                                key(Change(State::kRaised), "other/app")};
  AlertChange worse = Change(State::kRaised);
  worse.alert.set_severity(v1::DatabaseAlert::CRITICAL);
  keys.insert(key(worse));
  AlertChange another = Change(State::kRaised);
  another.alert.set_object("public.items");
  keys.insert(key(another));
  EXPECT_EQ(keys.size(), 6u);
}

TEST(WatchSettings, EverySettingHasItsPlace) {
  config::v1::DatabaseOptimizerConfig config;
  auto* watch = config.mutable_watch();
  watch->set_interval_ms(1);
  watch->set_slow_warning_ms(2);
  watch->set_slow_critical_ms(3);
  watch->set_n_plus_one_count(4);
  watch->set_lock_wait_alert_ms(5);
  watch->set_replica_lag_alert_ms(6);
  watch->set_bloat_alert_percent(7);
  watch->set_bloat_alert_min_bytes(8);
  watch->set_vacuum_alert_dead_percent(9);
  watch->set_alert_repeat_ms(10);
  config.mutable_pool()->set_leak_report_ms(11);
  const WatchSettings settings = WatchSettingsOf(config);
  EXPECT_EQ(settings.interval, absl::Milliseconds(1));
  EXPECT_EQ(settings.slow_warning, absl::Milliseconds(2));
  EXPECT_EQ(settings.slow_critical, absl::Milliseconds(3));
  EXPECT_EQ(settings.n_plus_one_count, 4);
  EXPECT_EQ(settings.lock_wait_alert, absl::Milliseconds(5));
  EXPECT_EQ(settings.replica_lag_alert, absl::Milliseconds(6));
  EXPECT_EQ(settings.bloat_alert_percent, 7);
  EXPECT_EQ(settings.bloat_alert_min_bytes, 8);
  EXPECT_EQ(settings.vacuum_alert_dead_percent, 9);
  EXPECT_EQ(settings.alert_repeat, absl::Milliseconds(10));
  EXPECT_EQ(settings.leak_report, absl::Milliseconds(11));
}

}  // namespace
}  // namespace slipstream::database_optimizer
