// Which figures are worth an alert: a pure function of the figures, the settings and the time.
//
// Thread safety: pure functions.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_ALERT_RULES_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_ALERT_RULES_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "services/database_optimizer/watch/watch_settings.h"
#include "slipstream/database_optimizer/v1/database_optimizer.pb.h"

namespace slipstream::database_optimizer {

// What happened and is over, such as a slow statement, is an alert for this long.
inline constexpr absl::Duration kEventHolds = absl::Minutes(1);
// Fewer dead rows than this are never worth an alert.
inline constexpr int64_t kMinDeadRowsCount = 1000;
inline constexpr int64_t kWraparoundWarningCount = 500'000'000;
inline constexpr int64_t kWraparoundCriticalCount = 100'000'000;
// A wait or lag so many times its threshold is critical.
inline constexpr int kCriticalFactor = 10;
inline constexpr size_t kMaxAlertsCount = 100;

// What holds now, critical first, one alert for each kind and object, at most kMaxAlertsCount;
// without raised_at. Slow statements are alerts from slow_critical on; slower than slow_warning
// they are shown only.
std::vector<v1::DatabaseAlert> AlertsOf(const v1::GetStatsResponse& stats,
                                        const WatchSettings& settings, absl::Time now);

// "SLOW_QUERY" -> "slow_query".
std::string KindName(v1::DatabaseAlert::Kind kind);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_ALERT_RULES_H_
