#include "services/database_optimizer/watch/postgres_stats_source.h"

#include <string>
#include <utility>

#include "libs/status/status.h"
#include "services/database_optimizer/watch/figures.h"

namespace slipstream::database_optimizer {

namespace {

using postgres::Connection;

struct Reading {
  v1::GetStatsResponse stats;
  ReplicaReadings replicas;
};

// One part after the other on one connection.
absl::StatusOr<Reading> ReadAll(Connection& connection, int limit_count, absl::Duration held) {
  Reading out;
  v1::GetStatsResponse* stats = &out.stats;
  stats->set_server_version(postgres::VersionText(connection.server_version()));
  const std::function<absl::Status()> parts[] = {
      [&] { return ReadDatabase(connection, stats); },
      [&] { return ReadTables(connection, limit_count, stats); },
      [&] { return ReadStatements(connection, limit_count, stats); },
      [&] { return ReadLockWaits(connection, limit_count, stats); },
      [&] { return ReadHeldSessions(connection, held, limit_count, stats); },
      [&] {
        auto replicas = ReadReplicas(connection);
        if (replicas.ok()) out.replicas = *std::move(replicas);
        return replicas.status();
      }};
  for (const auto& part : parts) {
    const absl::Status status = part();
    // Whoever is gone or hangs would cost every part its timeout.
    if (absl::IsUnavailable(status)) return status;
    if (!status.ok()) stats->add_gaps(std::string(status.message()));
  }
  return out;
}

}  // namespace

Async<absl::StatusOr<v1::GetStatsResponse>> PostgresStatsSource::Read(int limit_count,
                                                                      absl::Duration timeout) {
  auto reading = co_await deps_.client.Run<Reading>(
      timeout, [limit_count, held = deps_.settings.slow_critical](Connection& connection) {
        return ReadAll(connection, limit_count, held);
      });
  if (!reading.ok()) co_return reading.status();
  v1::GetStatsResponse& stats = reading->stats;
  deps_.watch.AddReplicas(reading->replicas, limit_count, &stats);
  deps_.watch.AddTo(limit_count, &stats);
  if (deps_.add_pool) deps_.add_pool(&stats);
  SortReplicas(limit_count, &stats);
  co_return std::move(stats);
}

}  // namespace slipstream::database_optimizer
