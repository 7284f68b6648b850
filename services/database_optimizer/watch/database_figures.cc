// The database as a whole, and its tables.
#include <string>

#include "absl/strings/str_cat.h"
#include "services/database_optimizer/watch/figures.h"
#include "services/database_optimizer/watch/read_only_work.h"
#include "services/database_optimizer/watch/rows.h"

namespace slipstream::database_optimizer {

namespace {

constexpr absl::Duration kTablesTimeout = absl::Seconds(5);
// For a table that is locked between the look at the locks and at its size.
constexpr absl::Duration kTablesLockTimeout = absl::Milliseconds(200);

constexpr char kWholeSql[] = R"(/*slipstream:watch*/
SELECT d.datname, pg_database_size(d.datid), d.blks_hit, d.blks_read, d.deadlocks,
       extract(epoch FROM d.stats_reset), current_setting('max_connections'),
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
FROM pg_stat_database d WHERE d.datname = current_database())";

constexpr char kConnectionsSql[] = R"(/*slipstream:watch*/
SELECT coalesce(state, 'unknown'), count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend'
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10)";

constexpr char kIndexesSql[] = "/*slipstream:watch*/ SELECT count(*) FROM pg_stat_user_indexes";

// Reading a size takes a lock on the relation, and would wait behind whoever locks it or waits to:
// of tables that somebody has locked wholly, or wants to, the pages counted by the last vacuum or
// analyze are taken instead. Sizes are NULL for relations that are being dropped. The total size is
// read for the few rows that are shown: it costs a look at every file of a table. The table whose
// transaction ids are about to run out is shown whatever it wastes.
constexpr char kTablesSql[] = R"(/*slipstream:watch*/
WITH locks AS MATERIALIZED (
  SELECT DISTINCT relation FROM pg_locks
  WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())),
locked AS MATERIALIZED (
  SELECT relation AS relid FROM locks
  UNION SELECT i.indrelid FROM pg_index i JOIN locks ON i.indexrelid = locks.relation
  UNION SELECT c.oid FROM pg_class c JOIN locks ON c.reltoastrelid = locks.relation),
widths AS (
  SELECT a.attrelid, count(*) AS columns_count, bool_or(s.null_frac > 0) AS has_nulls,
         sum((1 - s.null_frac) * CASE
           WHEN a.attlen > 0 THEN ceil(s.avg_width::numeric / w.align) * w.align
           ELSE s.avg_width END) AS data_bytes
  FROM pg_stats s
  JOIN pg_namespace n ON n.nspname = s.schemaname
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.tablename
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = s.attname
  CROSS JOIN LATERAL (SELECT CASE a.attalign WHEN 'd' THEN 8 WHEN 'i' THEN 4 WHEN 's' THEN 2
                      ELSE 1 END AS align) w
  WHERE NOT s.inherited AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  GROUP BY a.attrelid),
tables AS (
  SELECT s.relid, s.schemaname || '.' || s.relname AS name, s.n_dead_tup AS dead,
         greatest(s.last_vacuum, s.last_autovacuum) AS vacuumed_at, age(c.relfrozenxid) AS xid_age,
         l.relid IS NOT NULL AS is_locked,
         coalesce(CASE WHEN l.relid IS NULL THEN pg_relation_size(s.relid) END,
                  c.relpages * current_setting('block_size')::bigint) AS table_bytes,
         CASE WHEN coalesce(s.last_vacuum, s.last_autovacuum, s.last_analyze,
                            s.last_autoanalyze) IS NOT NULL THEN s.n_live_tup
              WHEN c.reltuples >= 0 THEN c.reltuples::bigint END AS live,
         s.n_live_tup,
         current_setting('block_size')::bigint AS block_bytes,
         coalesce((SELECT option_value::numeric FROM pg_options_to_table(c.reloptions)
                   WHERE option_name = 'fillfactor'), 100) AS fillfactor,
         CASE WHEN w.columns_count = (SELECT count(*) FROM pg_attribute a WHERE
                a.attrelid = s.relid AND a.attnum > 0 AND NOT a.attisdropped)
              THEN 4 + 8 * ceil((23 + CASE WHEN w.has_nulls THEN (c.relnatts + 7) / 8 ELSE 0 END)
                                / 8.0) + 8 * ceil(w.data_bytes / 8.0) END AS row_bytes
  FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
  LEFT JOIN widths w ON w.attrelid = s.relid
  LEFT JOIN locked l ON l.relid = s.relid
  WHERE c.relfrozenxid <> '0'::xid),
estimated AS (
  SELECT t.*, CASE
    WHEN live = 0 THEN table_bytes
    WHEN live IS NULL OR row_bytes IS NULL THEN NULL
    ELSE greatest(0, table_bytes - block_bytes * ceil(live::numeric / greatest(1,
           floor((block_bytes - 24) * fillfactor / 100 / row_bytes)))) END::bigint AS bloat
  FROM tables t),
ranked AS (
  SELECT e.*, count(*) OVER () AS tables_count, count(bloat) OVER () AS estimated_count,
         row_number() OVER (ORDER BY greatest(coalesce(bloat, 0), table_bytes * dead /
           greatest(1, dead + n_live_tup)) DESC, dead DESC, table_bytes DESC, relid) AS place,
         row_number() OVER (ORDER BY xid_age DESC, relid) AS age_place
  FROM estimated e)
SELECT name, coalesce(CASE WHEN is_locked THEN block_bytes * (
           SELECT sum(c.relpages) FROM pg_class c WHERE c.oid = relid OR c.oid IN (
             SELECT indexrelid FROM pg_index WHERE indrelid = relid))
         ELSE pg_total_relation_size(relid) END, 0)::bigint, dead,
       coalesce(extract(epoch FROM now() - vacuumed_at)::bigint, -1),
       greatest(current_setting('autovacuum_freeze_max_age')::bigint - xid_age, 0),
       coalesce(bloat, -1), coalesce(live, n_live_tup), table_bytes,
       greatest(2147483647 - 3000000 - xid_age, 0), tables_count, estimated_count
FROM ranked WHERE place <= $1 OR (age_place = 1 AND xid_age > 1600000000)
ORDER BY place)";

}  // namespace

absl::Status ReadDatabase(postgres::Connection& connection, v1::GetStatsResponse* out) {
  auto rows = connection.Query(kWholeSql);
  if (!rows.ok()) return rows.status();
  auto* database = out->mutable_database();
  if (!rows->empty()) {
    const postgres::Row& row = rows->front();
    database->set_name(Text(row, 0));
    database->set_size_bytes(Number<int64_t>(row, 1));
    const double hit_count = Number<double>(row, 2);
    const double read_count = Number<double>(row, 3);
    if (hit_count + read_count > 0) {
      out->set_buffer_hit_ratio(hit_count / (hit_count + read_count));
    }
    database->set_deadlocks_count(Number<int64_t>(row, 4));
    SetEpoch(row, 5, [&] { return database->mutable_since(); });
    database->set_max_connections_count(Number<int32_t>(row, 6));
    if (Text(row, 7) != "t") {
      out->add_gaps(
          "other users' statements and connections are hidden: GRANT pg_monitor TO the user of "
          "database_optimizer.postgres_url");
    }
  }
  rows = connection.Query(kConnectionsSql);
  if (!rows.ok()) return rows.status();
  int64_t sessions_count = 0;
  for (const postgres::Row& row : *rows) {
    auto* state = database->add_connections();
    state->set_state(Text(row, 0));
    state->set_count(Number<int32_t>(row, 1));
    sessions_count += state->count();
  }
  out->mutable_examined()->set_sessions_count(sessions_count);
  rows = connection.Query(kIndexesSql);
  if (!rows.ok()) return rows.status();
  if (!rows->empty()) {
    out->mutable_examined()->set_indexes_count(Number<int64_t>(rows->front(), 0));
  }
  return absl::OkStatus();
}

absl::Status ReadTables(postgres::Connection& connection, int limit_count,
                        v1::GetStatsResponse* out) {
  ReadOnlyWork work(connection);
  absl::Status begun = work.Begin(kTablesTimeout, kTablesLockTimeout);
  if (!begun.ok()) return begun;
  auto rows = connection.Query(kTablesSql, {absl::StrCat(limit_count)});
  if (!rows.ok()) return rows.status();
  auto* examined = out->mutable_examined();
  for (const postgres::Row& row : *rows) {
    auto* table = out->add_tables();
    table->set_table(Text(row, 0));
    table->set_total_bytes(Number<int64_t>(row, 1));
    table->set_dead_rows_count(Number<int64_t>(row, 2));
    table->set_vacuum_age_s(Number<int64_t>(row, 3));
    table->set_transactions_left_count(Number<int64_t>(row, 4));
    table->set_bloat_bytes(Number<int64_t>(row, 5));
    table->set_live_rows_count(Number<int64_t>(row, 6));
    table->set_table_bytes(Number<int64_t>(row, 7));
    table->set_transactions_to_wraparound_count(Number<int64_t>(row, 8));
    examined->set_tables_count(Number<int64_t>(row, 9));
    examined->set_bloat_estimated_count(Number<int64_t>(row, 10));
  }
  const int64_t unknown_count = examined->tables_count() - examined->bloat_estimated_count();
  if (unknown_count > 0) {
    out->add_gaps(absl::StrCat("bloat is not known of ", unknown_count, " of ",
                               examined->tables_count(),
                               " tables: run ANALYZE, and GRANT SELECT on them (or "
                               "pg_read_all_data) to the user of database_optimizer.postgres_url"));
  }
  return absl::OkStatus();
}

}  // namespace slipstream::database_optimizer
