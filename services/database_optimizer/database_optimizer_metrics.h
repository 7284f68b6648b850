// The series of the database optimizer: the one table.
#ifndef SERVICES_DATABASE_OPTIMIZER_DATABASE_OPTIMIZER_METRICS_H_
#define SERVICES_DATABASE_OPTIMIZER_DATABASE_OPTIMIZER_METRICS_H_

#include "libs/metrics/registry.h"
#include "libs/postgres/client.h"

namespace slipstream::database_optimizer {

inline constexpr metrics::GaugeDef kConnections{"slipstream_database_optimizer_connections",
                                                "Connections to PostgreSQL, by state: open, busy.",
                                                {"state"}};
inline constexpr metrics::GaugeDef kWaiters{"slipstream_database_optimizer_waiters",
                                            "Calls that wait for a connection."};
inline constexpr metrics::CounterDef kAcquired{"slipstream_database_optimizer_acquired_total",
                                               "Calls that got a connection."};
inline constexpr metrics::CounterDef kAcquireTimeouts{
    "slipstream_database_optimizer_acquire_timeouts_total",
    "Calls that waited for a connection in vain."};
inline constexpr metrics::CounterDef kBroken{"slipstream_database_optimizer_broken_total",
                                             "Connections thrown away because they broke."};

inline constexpr metrics::CounterDef kChanges{
    "slipstream_database_optimizer_changes_total",
    "Changes of the database that ended, by result: kept, reverted, failed.",
    {"result"}};
inline constexpr metrics::CounterDef kChangesGaveWay{
    "slipstream_database_optimizer_changes_gave_way_total",
    "Builds that were cancelled because another session waited for the table's lock."};
inline constexpr metrics::GaugeDef kChangesOpen{
    "slipstream_database_optimizer_changes_open",
    "Changes of the database that were asked for and have not ended."};

// The client outlives the registration.
inline metrics::Registry::Registration AddDatabaseOptimizerMetrics(metrics::Registry& registry,
                                                                   const postgres::Client& client) {
  return registry.AddCollector([&client](metrics::Samples& samples) {
    const postgres::ClientFigures figures = client.figures();
    samples.Add(kConnections, figures.open_connections_count, {"open"});
    samples.Add(kConnections, figures.busy_connections_count, {"busy"});
    samples.Add(kWaiters, figures.waiting_count);
    samples.Add(kAcquired, static_cast<double>(figures.acquired_count));
    samples.Add(kAcquireTimeouts, static_cast<double>(figures.acquire_timeouts_count));
    samples.Add(kBroken, static_cast<double>(figures.broken_count));
  });
}

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_DATABASE_OPTIMIZER_METRICS_H_
