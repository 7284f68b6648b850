// The series of the pool that Query runs on. (database_optimizer_metrics.h has those of the
// connections that statistics are read by.)
#ifndef SERVICES_DATABASE_OPTIMIZER_QUERY_POOL_METRICS_H_
#define SERVICES_DATABASE_OPTIMIZER_QUERY_POOL_METRICS_H_

#include <string>

#include "libs/metrics/registry.h"
#include "libs/postgres/pool.h"

namespace slipstream::database_optimizer {

inline constexpr metrics::GaugeDef kPoolConnections{
    "slipstream_database_optimizer_pool_connections",
    "Connections of the pool to the primary, by state: open, busy, max.",
    {"state"}};
inline constexpr metrics::GaugeDef kPoolWaiters{"slipstream_database_optimizer_pool_waiters",
                                                "Statements that wait for a connection."};
inline constexpr metrics::GaugeDef kPoolLeaks{"slipstream_database_optimizer_pool_leaks",
                                              "Connections held longer than leak_report_ms."};
inline constexpr metrics::GaugeDef kPoolCircuit{
    "slipstream_database_optimizer_pool_circuit",
    "The circuit breaker to the primary: 0 closed, 1 half-open, 2 open."};
inline constexpr metrics::GaugeDef kPoolWaitP95{
    "slipstream_database_optimizer_pool_wait_p95_seconds",
    "95th percentile of the latest 1,024 waits for a connection."};
inline constexpr metrics::CounterDef kPoolStatements{
    "slipstream_database_optimizer_pool_statements_total",
    "Statements sent, by server: primary, replica.",
    {"server"}};
inline constexpr metrics::CounterDef kPoolAcquired{
    "slipstream_database_optimizer_pool_acquired_total", "Connections handed out."};
inline constexpr metrics::CounterDef kPoolRefused{
    "slipstream_database_optimizer_pool_refused_total",
    "Statements that waited for a connection in vain, or were refused one."};
inline constexpr metrics::CounterDef kPoolReplaced{
    "slipstream_database_optimizer_pool_replaced_total",
    "Connections closed, by why: recycled (use, idleness), broken (or cut).",
    {"why"}};
inline constexpr metrics::CounterDef kPoolBusySeconds{
    "slipstream_database_optimizer_pool_busy_seconds_total",
    "Time that connections to the primary were in use, all together."};
inline constexpr metrics::GaugeDef kPoolReplica{
    "slipstream_database_optimizer_pool_replica_in_use",
    "1 when statements may go to the replica, else 0; by its place in replica_urls.",
    {"replica"}};
inline constexpr metrics::GaugeDef kPoolReplicaLag{
    "slipstream_database_optimizer_pool_replica_lag_seconds",
    "How far the replica is behind the primary; by its place in replica_urls.",
    {"replica"}};

// The pool outlives the registration.
inline metrics::Registry::Registration AddPoolMetrics(metrics::Registry& registry,
                                                      const postgres::Pool& pool) {
  return registry.AddCollector([&pool](metrics::Samples& samples) {
    const postgres::PoolFigures figures = pool.figures();
    samples.Add(kPoolConnections, figures.open_connections_count, {"open"});
    samples.Add(kPoolConnections, figures.busy_connections_count, {"busy"});
    samples.Add(kPoolConnections, pool.options().max_connections_count, {"max"});
    samples.Add(kPoolWaiters, figures.waiters_count);
    samples.Add(kPoolLeaks, static_cast<double>(figures.leaks.size()));
    samples.Add(kPoolCircuit, figures.circuit_state == postgres::CircuitState::kClosed     ? 0
                              : figures.circuit_state == postgres::CircuitState::kHalfOpen ? 1
                                                                                           : 2);
    samples.Add(kPoolWaitP95, absl::ToDoubleSeconds(figures.p95_wait));
    const auto count = [](int64_t value) { return static_cast<double>(value); };
    samples.Add(kPoolStatements, count(figures.statements_count - figures.replica_statements_count),
                {"primary"});
    samples.Add(kPoolStatements, count(figures.replica_statements_count), {"replica"});
    samples.Add(kPoolAcquired, count(figures.acquired_count));
    samples.Add(kPoolRefused, count(figures.acquire_timeouts_count));
    samples.Add(kPoolReplaced, count(figures.recycled_count), {"recycled"});
    samples.Add(kPoolReplaced, count(figures.broken_count), {"broken"});
    samples.Add(kPoolBusySeconds, absl::ToDoubleSeconds(figures.busy_time));
    for (size_t i = 0; i < figures.replicas.size(); ++i) {
      const std::string replica = std::to_string(i);
      samples.Add(kPoolReplica, figures.replicas[i].in_use ? 1 : 0, {replica});
      samples.Add(kPoolReplicaLag, absl::ToDoubleSeconds(figures.replicas[i].lag), {replica});
    }
  });
}

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_QUERY_POOL_METRICS_H_
