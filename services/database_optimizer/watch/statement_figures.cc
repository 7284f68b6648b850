// pg_stat_statements.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/database_optimizer/watch/figures.h"
#include "services/database_optimizer/watch/rows.h"

namespace slipstream::database_optimizer {

namespace {

constexpr int kMaxTotalsCount = 1000;

constexpr char kExtensionSql[] = R"(/*slipstream:watch*/
SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_stat_statements')";

// Statements that PostgreSQL plans. It replaces their constants; those of others, such as a
// password in ALTER ROLE, it keeps as they are, so they are left out.
constexpr char kPlannedStatement[] =
    R"('^(\s|/\*([^*]|\*+[^*/])*\*+/|--[^\n]*\n|\()*(select|insert|update|delete|merge|with|values|table)\M')";

// Installed, but it cannot be read: what to do; empty for other errors.
std::string WhyUnreadable(const absl::Status& status) {
  const std::string sqlstate = status::Metadata(status, "sqlstate").value_or("");
  if (sqlstate == "55000") {  // object_not_in_prerequisite_state
    return "pg_stat_statements is installed but not loaded: add it to shared_preload_libraries and "
           "restart PostgreSQL";
  }
  if (sqlstate == "42703" || sqlstate == "42P01") {  // no such column, no such view
    return "pg_stat_statements is older than 1.9: run ALTER EXTENSION pg_stat_statements UPDATE";
  }
  return "";
}

absl::Status ReadFrom(postgres::Connection& connection, const std::string& schema, int limit_count,
                      v1::GetStatsResponse* out) {
  const std::string view = absl::StrCat(schema, ".pg_stat_statements");
  auto rows = connection.Query(
      absl::StrCat(
          "/*slipstream:watch*/ SELECT lpad(to_hex(s.queryid), 16, '0'), min(left(s.query, 4096)), "
          "sum(s.calls)::bigint, sum(s.total_exec_time), "
          "sum(s.total_exec_time) / greatest(sum(s.calls), 1), sum(s.rows)::bigint, "
          "sum(s.shared_blks_read)::bigint FROM ",
          view,
          " s JOIN pg_database d ON d.oid = s.dbid "
          "WHERE d.datname = current_database() AND s.queryid IS NOT NULL "
          "AND s.query ~* ",
          kPlannedStatement,
          " AND s.query NOT LIKE '/*slipstream:%' GROUP BY s.queryid ORDER BY 4 DESC, 1 LIMIT $1"),
      {absl::StrCat(limit_count)});
  if (!rows.ok()) return rows.status();
  for (const postgres::Row& row : *rows) {
    auto* query = out->add_top_queries();
    query->set_fingerprint(Text(row, 0));
    query->set_statement(Text(row, 1));
    query->set_calls_count(Number<int64_t>(row, 2));
    query->set_total_ms(Number<double>(row, 3));
    query->set_mean_ms(Number<double>(row, 4));
    query->set_rows_count(Number<int64_t>(row, 5));
    query->set_blocks_read_count(Number<int64_t>(row, 6));
  }
  auto info = connection.Query(
      absl::StrCat("/*slipstream:watch*/ SELECT extract(epoch FROM i.stats_reset), "
                   "(SELECT count(DISTINCT s.queryid) FROM ",
                   view, "(false) s) FROM ", view, "_info i"));
  if (!info.ok()) return info.status();
  if (info->empty()) return absl::OkStatus();
  auto* examined = out->mutable_examined();
  SetEpoch(info->front(), 0, [&] { return examined->mutable_since(); });
  examined->set_statements_count(Number<int64_t>(info->front(), 1));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> StatementsSchema(postgres::Connection& connection) {
  auto rows = connection.Query(kExtensionSql);
  if (!rows.ok()) return rows.status();
  return rows->empty() ? std::string() : Text(rows->front(), 0);
}

absl::Status ReadStatements(postgres::Connection& connection, int limit_count,
                            v1::GetStatsResponse* out) {
  const auto schema = StatementsSchema(connection);
  if (!schema.ok()) return schema.status();
  if (schema->empty()) {
    out->add_gaps(
        "pg_stat_statements is not installed: add it to shared_preload_libraries, restart "
        "PostgreSQL and run CREATE EXTENSION pg_stat_statements");
    return absl::OkStatus();
  }
  absl::Status status = ReadFrom(connection, *schema, limit_count, out);
  if (status.ok() || absl::IsUnavailable(status)) return status;
  const std::string why = WhyUnreadable(status);
  if (why.empty()) return status;
  out->add_gaps(why);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StatementTotals>> ReadTotals(postgres::Connection& connection,
                                                        absl::Duration longest) {
  std::vector<StatementTotals> out;
  const auto schema = StatementsSchema(connection);
  if (!schema.ok()) return schema.status();
  if (schema->empty()) return out;
  auto rows = connection.Query(
      absl::StrCat(
          "/*slipstream:watch*/ SELECT lpad(to_hex(s.queryid), 16, '0'), sum(s.calls)::bigint, "
          "sum(s.total_exec_time), max(s.max_exec_time) FROM ",
          *schema,
          ".pg_stat_statements(false) s WHERE s.queryid IS NOT NULL AND s.dbid = "
          "(SELECT oid FROM pg_database WHERE datname = current_database()) "
          "GROUP BY s.queryid HAVING max(s.max_exec_time) >= $1 ORDER BY 4 DESC LIMIT ",
          kMaxTotalsCount),
      {absl::StrCat(absl::ToDoubleMilliseconds(longest))});
  if (!rows.ok()) {
    if (WhyUnreadable(rows.status()).empty()) return rows.status();
    return out;
  }
  for (const postgres::Row& row : *rows) {
    out.push_back(
        {Text(row, 0), Number<int64_t>(row, 1), Number<double>(row, 2), Number<double>(row, 3)});
  }
  return out;
}

absl::StatusOr<std::string> ReadStatementText(postgres::Connection& connection,
                                              const std::string& fingerprint) {
  const auto schema = StatementsSchema(connection);
  if (!schema.ok()) return schema.status();
  if (schema->empty()) return std::string();
  auto rows = connection.Query(
      absl::StrCat("/*slipstream:watch*/ SELECT left(s.query, 65536) FROM ", *schema,
                   ".pg_stat_statements s WHERE lpad(to_hex(s.queryid), 16, '0') = $1 LIMIT 1"),
      {fingerprint});
  if (!rows.ok()) return rows.status();
  return rows->empty() ? std::string() : Text(rows->front(), 0);
}

}  // namespace slipstream::database_optimizer
