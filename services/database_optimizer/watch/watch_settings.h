// The settings of the watch, read once from the configuration.
//
// Thread safety: a plain value.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_WATCH_SETTINGS_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_WATCH_SETTINGS_H_

#include <cstdint>

#include "absl/time/time.h"

namespace slipstream::database_optimizer {

// Names and defaults as in DatabaseWatchConfig; leak_report is PostgresPoolConfig.leak_report_ms.
struct WatchSettings {
  absl::Duration interval = absl::Seconds(5);
  absl::Duration slow_warning = absl::Milliseconds(500);
  absl::Duration slow_critical = absl::Seconds(2);
  int n_plus_one_count = 20;
  absl::Duration lock_wait_alert = absl::Seconds(5);
  absl::Duration replica_lag_alert = absl::Seconds(10);
  int bloat_alert_percent = 50;
  int64_t bloat_alert_min_bytes = int64_t{64} << 20;
  int vacuum_alert_dead_percent = 30;
  absl::Duration alert_repeat = absl::Hours(1);
  absl::Duration leak_report = absl::Seconds(90);
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_WATCH_SETTINGS_H_
