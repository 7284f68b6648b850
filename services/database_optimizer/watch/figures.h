// Reads figures of one database from PostgreSQL's own views, one group after the other, on one
// connection. A user with pg_monitor may read all but the widths of columns (pg_stats), which need
// SELECT on the table.
//
// Thread safety: that of the connection: one thread at a time. They block.
// Errors: those of Connection. What a group cannot see for want of rights or of an extension is no
// error: it is added to `gaps`, with what to do.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_FIGURES_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_FIGURES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/postgres/connection.h"
#include "services/database_optimizer/watch/statement_deltas.h"
#include "slipstream/database_optimizer/v1/database_optimizer.pb.h"

namespace slipstream::database_optimizer {

// The name that the watch's own connections carry; their statements are left out of all figures.
inline constexpr char kWatchApplication[] = "slipstream database_optimizer watch";
// What every statement of the suite's own on the database's catalogs begins with, up to the name of
// the part that runs it: they are no part of the workload and are left out of its figures.
inline constexpr char kOwnStatement[] = "/*slipstream:";

// Name, size, hits, deadlocks, connections by state, tables and indexes counted.
absl::Status ReadDatabase(postgres::Connection& connection, v1::GetStatsResponse* out);

// Space, dead rows, vacuum and wraparound of the `limit_count` tables that waste the most.
//
// Bloat is estimated as the table's pages minus those that its live rows need. A row takes a line
// pointer (4 bytes), a header (23 bytes and the null bitmap) and its columns, both aligned to 8
// bytes; a page holds 24 bytes of header; the rest of it is filled to the table's fillfactor
// (PostgreSQL's manual, "Database Page Layout"). Widths are those of pg_stats, live rows those of
// the last vacuum or analyze and what was counted since. Padding between columns is known for types
// of fixed length alone, so the estimate is some percent off; an empty or never analyzed table has
// none.
absl::Status ReadTables(postgres::Connection& connection, int limit_count,
                        v1::GetStatsResponse* out);

// The top statements by total time, from pg_stat_statements.
absl::Status ReadStatements(postgres::Connection& connection, int limit_count,
                            v1::GetStatsResponse* out);

// Sessions that wait for a lock, with the root of the chain each is in.
absl::Status ReadLockWaits(postgres::Connection& connection, int limit_count,
                           v1::GetStatsResponse* out);

// Sessions that have held a transaction open, doing nothing, for longer than `longer_than`.
absl::Status ReadHeldSessions(postgres::Connection& connection, absl::Duration longer_than,
                              int limit_count, v1::GetStatsResponse* out);

// A replica, and how far the log had gone when it was looked at.
struct ReplicaReading {
  v1::ReplicaStats stats;  // lag_ms as the replica itself last reported it
  int64_t replayed_lsn = 0;
  bool streams = false;      // all that the primary has was sent to it
  absl::Duration connected;  // since it connected
  absl::Duration reply_age;  // since it last said where it is
};
struct ReplicaReadings {
  std::vector<ReplicaReading> replicas;
  int64_t current_lsn = 0;  // position in the log, in bytes
};
absl::StatusOr<ReplicaReadings> ReadReplicas(postgres::Connection& connection);

// A client's statement that runs now.
struct RunningStatement {
  int pid = 0;
  int64_t started_us =
      0;  // microseconds since 1970, by the server's clock; with pid, identifies it
  absl::Duration running;
  std::string fingerprint;  // empty when the server gives none (compute_query_id is off)
  std::string statement;    // with its constants: never shown
  bool cut_off = false;     // longer than track_activity_query_size
  std::string application;
};
absl::StatusOr<std::vector<RunningStatement>> ReadRunning(postgres::Connection& connection,
                                                          absl::Duration longer_than);

// The quoted schema of pg_stat_statements; empty when it is not installed.
absl::StatusOr<std::string> StatementsSchema(postgres::Connection& connection);
// Figures of statements whose longest run took at least `longest`, without their texts, which
// would be read from a file each time. Empty without the extension.
absl::StatusOr<std::vector<StatementTotals>> ReadTotals(postgres::Connection& connection,
                                                        absl::Duration longest);
// A statement's text, constants replaced by the server; empty when it is unknown.
absl::StatusOr<std::string> ReadStatementText(postgres::Connection& connection,
                                              const std::string& fingerprint);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_FIGURES_H_
