#include "services/database_optimizer/whatif/workload_reader.h"

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/database_optimizer/whatif/row_reader.h"

namespace slipstream::database_optimizer {

namespace {

constexpr char kViewSql[] = R"(
SELECT quote_ident(n.nspname) || '.pg_stat_statements'
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_stat_statements')";

// Only what the advisor can use: utility statements keep their constants, passwords too.
constexpr char kPlanned[] =
    R"( AND s.query ~* '^(\s|/\*([^*]|\*+[^*/])*\*+/|--[^\n]*\n|\()*(select|insert|update|delete|with)\M')";

constexpr char kOfThisDatabase[] =
    " s WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND s.queryid IS NOT NULL";

absl::Status NotCounted(const absl::Status& status) {
  const std::string sqlstate = status::Metadata(status, "sqlstate").value_or("");
  if (sqlstate != "55000") return status;  // object_not_in_prerequisite_state
  return status::Error(absl::StatusCode::kFailedPrecondition, kStatementsNotCounted,
                       "pg_stat_statements is installed but not loaded: add it to "
                       "shared_preload_libraries and restart PostgreSQL");
}

}  // namespace

absl::StatusOr<std::string> StatementsView(postgres::Connection& connection) {
  auto rows = connection.Query(kViewSql);
  if (!rows.ok()) return rows.status();
  if (rows->empty()) {
    return status::Error(absl::StatusCode::kFailedPrecondition, kStatementsNotCounted,
                         "pg_stat_statements is not installed: add it to "
                         "shared_preload_libraries, restart PostgreSQL and run CREATE EXTENSION "
                         "pg_stat_statements");
  }
  return TextAt(rows->front(), 0);
}

absl::StatusOr<Workload> ReadWorkload(postgres::Connection& connection, int max_count) {
  auto view = StatementsView(connection);
  if (!view.ok()) return view.status();
  auto rows = connection.Query(
      absl::StrCat("SELECT lpad(to_hex(s.queryid), 16, '0'), min(s.query), sum(s.calls)::bigint, "
                   "sum(s.total_exec_time), sum(s.rows)::bigint FROM ",
                   *view, kOfThisDatabase, kPlanned,
                   " GROUP BY s.queryid ORDER BY 4 DESC, 1 LIMIT $1"),
      {absl::StrCat(max_count)});
  if (!rows.ok()) return NotCounted(rows.status());
  Workload out;
  for (const auto& row : *rows) {
    out.statements.push_back(
        {TextAt(row, 0), TextAt(row, 1), IntAt(row, 2), DoubleAt(row, 3), IntAt(row, 4)});
  }
  auto info = connection.Query(
      absl::StrCat("SELECT extract(epoch FROM stats_reset) FROM ", *view, "_info"));
  if (!info.ok()) return NotCounted(info.status());
  if (!info->empty()) out.since = absl::UnixEpoch() + absl::Seconds(DoubleAt(info->front(), 0));
  return out;
}

absl::StatusOr<CountersReading> ReadCounters(postgres::Connection& connection, int max_count) {
  auto view = StatementsView(connection);
  if (!view.ok()) return view.status();
  // The sum of squares is recovered from mean and standard deviation (population), which
  // pg_stat_statements keeps per user.
  auto rows = connection.Query(
      absl::StrCat("SELECT lpad(to_hex(s.queryid), 16, '0'), sum(s.calls), sum(s.total_exec_time), "
                   "sum(s.calls * (s.stddev_exec_time ^ 2 + s.mean_exec_time ^ 2)), "
                   "sum(s.shared_blks_hit + s.shared_blks_read), sum(s.wal_records), "
                   "(SELECT i.stats_reset::text FROM ",
                   *view, "_info i) FROM ", *view, kOfThisDatabase, kPlanned,
                   " GROUP BY s.queryid ORDER BY 3 DESC, 1 LIMIT $1"),
      {absl::StrCat(max_count)});
  if (!rows.ok()) return NotCounted(rows.status());
  CountersReading out;
  for (const auto& row : *rows) {
    out.by_fingerprint[TextAt(row, 0)] = {DoubleAt(row, 1), DoubleAt(row, 2), DoubleAt(row, 3),
                                          DoubleAt(row, 4), DoubleAt(row, 5)};
    out.since = TextAt(row, 6);
  }
  return out;
}

}  // namespace slipstream::database_optimizer
