#include "services/database_optimizer/postgres_stats_source.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::database_optimizer {

namespace {

using postgres::Connection;
using postgres::Row;
using postgres::Rows;

constexpr char kWholeSql[] = R"(
SELECT d.datname, pg_database_size(d.datid), d.blks_hit, d.blks_read, d.deadlocks,
       extract(epoch FROM d.stats_reset), current_setting('max_connections'),
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
FROM pg_stat_database d WHERE d.datname = current_database())";

constexpr char kConnectionsSql[] = R"(
SELECT coalesce(state, 'unknown'), count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend'
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10)";

constexpr char kObjectsSql[] = R"(
SELECT (SELECT count(*) FROM pg_stat_user_tables), (SELECT count(*) FROM pg_stat_user_indexes))";

// Never read: relations that are being dropped have no size (NULL).
constexpr char kTablesSql[] = R"(
SELECT s.schemaname || '.' || s.relname, coalesce(pg_total_relation_size(s.relid), 0),
       s.n_dead_tup,
       coalesce(extract(epoch FROM now() - greatest(s.last_vacuum, s.last_autovacuum))::bigint, -1),
       greatest(current_setting('autovacuum_freeze_max_age')::bigint - age(c.relfrozenxid), 0)
FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
WHERE c.relfrozenxid <> '0'::xid
ORDER BY s.n_dead_tup DESC, c.relpages DESC, s.relid LIMIT $1)";

constexpr char kExtensionSql[] = R"(
SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_stat_statements')";

// Statements that PostgreSQL plans. It replaces their constants; those of others, such as a
// password in ALTER ROLE, it keeps as they are, so they are left out.
constexpr char kPlannedStatement[] =
    R"('^(\s|/\*([^*]|\*+[^*/])*\*+/|--[^\n]*\n|\()*(select|insert|update|delete|merge|with|values|table)\M')";

std::string Text(const Row& row, size_t column) {
  return column < row.size() && row[column] ? *row[column] : std::string();
}

template <class T>
T Number(const Row& row, size_t column) {
  T out = 0;
  if constexpr (std::is_floating_point_v<T>) {
    if (!absl::SimpleAtod(Text(row, column), &out)) out = 0;
  } else {
    if (!absl::SimpleAtoi(Text(row, column), &out)) out = 0;
  }
  return out;
}

void SetEpoch(const Row& row, size_t column, google::protobuf::Timestamp* (*mutable_field)(void*),
              void* message) {
  if (Text(row, column).empty()) return;
  const double seconds = Number<double>(row, column);
  auto* out = mutable_field(message);
  out->set_seconds(static_cast<int64_t>(seconds));
  out->set_nanos(static_cast<int32_t>((seconds - static_cast<double>(out->seconds())) * 1e9));
}

// Reads one part after the other on one connection.
class Reader {
 public:
  Reader(Connection& connection, int limit_count)
      : connection_(connection), limit_(absl::StrCat(limit_count)) {}

  absl::StatusOr<v1::GetStatsResponse> Read() {
    out_.set_server_version(postgres::VersionText(connection_.server_version()));
    for (auto part : {&Reader::ReadWhole, &Reader::ReadConnections, &Reader::ReadObjects,
                      &Reader::ReadTables, &Reader::ReadStatements}) {
      const absl::Status status = (this->*part)();
      // Whoever is gone or hangs would cost every part its timeout.
      if (absl::IsUnavailable(status)) return status;
      if (!status.ok()) Gap(std::string(status.message()));
    }
    Gap("slow_queries, n_plus_one_patterns, lock_waits, replicas and bloat_bytes are not collected "
        "yet");
    return std::move(out_);
  }

 private:
  void Gap(std::string text) { out_.add_gaps(std::move(text)); }

  absl::Status ReadWhole() {
    auto rows = connection_.Query(kWholeSql);
    if (!rows.ok()) return rows.status();
    if (rows->empty()) return absl::OkStatus();
    const Row& row = rows->front();
    auto* database = out_.mutable_database();
    database->set_name(Text(row, 0));
    database->set_size_bytes(Number<int64_t>(row, 1));
    const double hit_count = Number<double>(row, 2);
    const double read_count = Number<double>(row, 3);
    if (hit_count + read_count > 0) {
      out_.set_buffer_hit_ratio(hit_count / (hit_count + read_count));
    }
    database->set_deadlocks_count(Number<int64_t>(row, 4));
    SetEpoch(
        row, 5, [](void* m) { return static_cast<v1::DatabaseFigures*>(m)->mutable_since(); },
        database);
    database->set_max_connections_count(Number<int32_t>(row, 6));
    if (Text(row, 7) != "t") {
      Gap("other users' statements and connections are hidden: GRANT pg_monitor TO the user of "
          "database_optimizer.postgres_url");
    }
    return absl::OkStatus();
  }

  absl::Status ReadConnections() {
    auto rows = connection_.Query(kConnectionsSql);
    if (!rows.ok()) return rows.status();
    for (const Row& row : *rows) {
      auto* state = out_.mutable_database()->add_connections();
      state->set_state(Text(row, 0));
      state->set_count(Number<int32_t>(row, 1));
    }
    return absl::OkStatus();
  }

  absl::Status ReadObjects() {
    auto rows = connection_.Query(kObjectsSql);
    if (!rows.ok()) return rows.status();
    if (rows->empty()) return absl::OkStatus();
    out_.mutable_examined()->set_tables_count(Number<int64_t>(rows->front(), 0));
    out_.mutable_examined()->set_indexes_count(Number<int64_t>(rows->front(), 1));
    return absl::OkStatus();
  }

  absl::Status ReadTables() {
    auto rows = connection_.Query(kTablesSql, {limit_});
    if (!rows.ok()) return rows.status();
    for (const Row& row : *rows) {
      auto* table = out_.add_tables();
      table->set_table(Text(row, 0));
      table->set_total_bytes(Number<int64_t>(row, 1));
      table->set_dead_rows_count(Number<int64_t>(row, 2));
      table->set_vacuum_age_s(Number<int64_t>(row, 3));
      table->set_transactions_left_count(Number<int64_t>(row, 4));
    }
    return absl::OkStatus();
  }

  absl::Status ReadStatements() {
    auto schema = connection_.Query(kExtensionSql);
    if (!schema.ok()) return schema.status();
    if (schema->empty()) {
      Gap("pg_stat_statements is not installed: add it to shared_preload_libraries, restart "
          "PostgreSQL and run CREATE EXTENSION pg_stat_statements");
      return absl::OkStatus();
    }
    const std::string view = absl::StrCat(Text(schema->front(), 0), ".pg_stat_statements");
    auto rows = connection_.Query(
        absl::StrCat("SELECT lpad(to_hex(s.queryid), 16, '0'), min(left(s.query, 4096)), "
                     "sum(s.calls)::bigint, sum(s.total_exec_time), "
                     "sum(s.total_exec_time) / greatest(sum(s.calls), 1), sum(s.rows)::bigint, "
                     "sum(s.shared_blks_read)::bigint FROM ",
                     view,
                     " s JOIN pg_database d ON d.oid = s.dbid "
                     "WHERE d.datname = current_database() AND s.queryid IS NOT NULL "
                     "AND s.query ~* ",
                     kPlannedStatement, " GROUP BY s.queryid ORDER BY 4 DESC, 1 LIMIT $1"),
        {limit_});
    if (!rows.ok()) return StatementsGap(rows.status());
    for (const Row& row : *rows) {
      auto* query = out_.add_top_queries();
      query->set_fingerprint(Text(row, 0));
      query->set_statement(Text(row, 1));
      query->set_calls_count(Number<int64_t>(row, 2));
      query->set_total_ms(Number<double>(row, 3));
      query->set_mean_ms(Number<double>(row, 4));
      query->set_rows_count(Number<int64_t>(row, 5));
      query->set_blocks_read_count(Number<int64_t>(row, 6));
    }
    auto info =
        connection_.Query(absl::StrCat("SELECT extract(epoch FROM i.stats_reset), "
                                       "(SELECT count(DISTINCT s.queryid) FROM ",
                                       view, " s) FROM ", view, "_info i"));
    if (!info.ok()) return StatementsGap(info.status());
    if (info->empty()) return absl::OkStatus();
    auto* examined = out_.mutable_examined();
    SetEpoch(
        info->front(), 0, [](void* m) { return static_cast<v1::Examined*>(m)->mutable_since(); },
        examined);
    examined->set_statements_count(Number<int64_t>(info->front(), 1));
    return absl::OkStatus();
  }

  // Installed, but it cannot be read.
  absl::Status StatementsGap(const absl::Status& status) {
    if (absl::IsUnavailable(status)) return status;
    const std::string sqlstate = status::Metadata(status, "sqlstate").value_or("");
    if (sqlstate == "55000") {  // object_not_in_prerequisite_state
      Gap("pg_stat_statements is installed but not loaded: add it to shared_preload_libraries and "
          "restart PostgreSQL");
    } else if (sqlstate == "42703" || sqlstate == "42P01") {  // no such column, no such view
      Gap("pg_stat_statements is older than 1.9: run ALTER EXTENSION pg_stat_statements UPDATE");
    } else {
      return status;
    }
    return absl::OkStatus();
  }

  Connection& connection_;
  const std::string limit_;
  v1::GetStatsResponse out_;
};

}  // namespace

Async<absl::StatusOr<v1::GetStatsResponse>> PostgresStatsSource::Read(int limit_count,
                                                                      absl::Duration timeout) {
  auto stats = co_await client_.Run<v1::GetStatsResponse>(
      timeout, [limit_count](Connection& connection) -> absl::StatusOr<v1::GetStatsResponse> {
        return Reader(connection, limit_count).Read();
      });
  if (!stats.ok()) co_return stats.status();
  const postgres::ClientFigures figures = client_.figures();
  auto* pool = stats->mutable_pool();
  pool->set_max_connections_count(client_.options().threads_count);
  pool->set_open_connections_count(figures.open_connections_count);
  pool->set_busy_connections_count(figures.busy_connections_count);
  pool->set_waiters_count(figures.waiting_count);
  pool->set_acquired_count(figures.acquired_count);
  pool->set_acquire_timeouts_count(figures.acquire_timeouts_count);
  co_return std::move(*stats);
}

}  // namespace slipstream::database_optimizer
