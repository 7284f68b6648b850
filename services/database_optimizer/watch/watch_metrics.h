// The series of the watch: the one table.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_WATCH_METRICS_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_WATCH_METRICS_H_

#include "libs/metrics/registry.h"

namespace slipstream::database_optimizer {

inline constexpr metrics::CounterDef kWatchLooks{"slipstream_database_optimizer_watch_looks_total",
                                                 "Looks at the database, by result: ok, failed.",
                                                 {"result"}};
inline constexpr metrics::HistogramDef kWatchSeconds{
    "slipstream_database_optimizer_watch_seconds",
    "Time of a look, by part: sessions (each time), tables (less often).",
    {"part"},
    metrics::kLatencySeconds};
inline constexpr metrics::GaugeDef kAlerts{
    "slipstream_database_optimizer_alerts", "Alerts that hold now, by kind.", {"kind"}};
inline constexpr metrics::CounterDef kAlertsTold{
    "slipstream_database_optimizer_alerts_told_total",
    "Alerts handed to the notification service, by kind and state: raised, repeated, resolved.",
    {"kind", "state"}};
inline constexpr metrics::CounterDef kAlertFailures{
    "slipstream_database_optimizer_alert_failures_total",
    "Attempts to hand alerts over that failed; they are tried again."};
inline constexpr metrics::CounterDef kAlertsDropped{
    "slipstream_database_optimizer_alerts_dropped_total",
    "Alerts given up because too many waited to be handed over."};
inline constexpr metrics::CounterDef kSlowStatements{
    "slipstream_database_optimizer_slow_statements_total",
    "Slow statements seen, by the threshold they reached: warning, critical (counted in both).",
    {"threshold"}};
inline constexpr metrics::GaugeDef kLockWaiters{
    "slipstream_database_optimizer_lock_waiters",
    "Sessions that waited for a lock at the last look, at most 100."};
inline constexpr metrics::GaugeDef kReplicaLag{
    "slipstream_database_optimizer_replica_lag_seconds",
    "How far the furthest replica is behind, at the last look."};
inline constexpr metrics::CounterDef kObserved{
    "slipstream_database_optimizer_observed_statements_total",
    "Statements through the pool that were measured by shape."};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_WATCH_METRICS_H_
