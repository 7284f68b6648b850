// What sessions do: wait for locks, hold transactions open, run statements; and replicas.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/status/status.h"
#include "services/database_optimizer/watch/figures.h"
#include "services/database_optimizer/watch/lock_chains.h"
#include "services/database_optimizer/watch/rows.h"
#include "services/database_optimizer/watch/statement_text.h"

namespace slipstream::database_optimizer {

namespace {

constexpr int kMaxWaitersCount = 1000;
constexpr int kMaxRunningCount = 100;
constexpr int kMaxReplicasCount = 100;
constexpr size_t kMaxBlockersCount = 100;
constexpr size_t kMaxObjectBytes = 255;
constexpr size_t kMaxNameBytes = 255;

// A session that waits for a row waits for the transaction that changed it; the first one in line
// holds a lock on the row meanwhile, which tells the table.
constexpr char kWaitsSql[] = R"(/*slipstream:watch*/
SELECT l.pid, array_to_string(pg_blocking_pids(l.pid), ','), l.mode,
       coalesce(n.nspname || '.' || c.relname || CASE WHEN r.page IS NULL THEN '' ELSE
                  ' row (' || r.page || ',' || r.tuple || ')' END,
                CASE l.locktype
                  WHEN 'transactionid' THEN 'transaction ' || l.transactionid
                  WHEN 'virtualxid' THEN 'transaction ' || l.virtualxid
                  WHEN 'advisory' THEN 'advisory lock ' || l.classid || ',' || l.objid
                  ELSE l.locktype END),
       (extract(epoch FROM clock_timestamp() - coalesce(l.waitstart, a.state_change)) * 1000)
         ::bigint,
       left(a.query, 16384)
FROM pg_locks l
JOIN pg_stat_activity a ON a.pid = l.pid AND a.datname = current_database()
LEFT JOIN LATERAL (
  SELECT coalesce(l.relation, t.relation) AS relation, coalesce(l.page, t.page) AS page,
         coalesce(l.tuple, t.tuple) AS tuple
  FROM (SELECT 1) one LEFT JOIN pg_locks t ON l.locktype = 'transactionid' AND t.pid = l.pid
    AND t.locktype = 'tuple' AND t.granted LIMIT 1) r ON true
LEFT JOIN pg_class c ON c.oid = r.relation
LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT l.granted ORDER BY 5 DESC, 1 LIMIT )";

constexpr char kRootsSql[] = R"(/*slipstream:watch*/
SELECT pid, coalesce(state, backend_type), left(query, 16384) FROM pg_stat_activity
WHERE pid = ANY(string_to_array($1, ',')::int[]))";

constexpr char kHeldSql[] = R"(/*slipstream:watch*/
SELECT pid, application_name, usename, state,
       (extract(epoch FROM clock_timestamp() - state_change) * 1000)::bigint, left(query, 16384)
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend'
  AND state LIKE 'idle in transaction%' AND pid <> pg_backend_pid()
  AND clock_timestamp() - state_change > $1::bigint * interval '1 millisecond'
ORDER BY 5 DESC, 1 LIMIT $2)";

constexpr char kRunningSql[] = R"(/*slipstream:watch*/
SELECT pid, (extract(epoch FROM query_start) * 1000000)::bigint,
       (extract(epoch FROM clock_timestamp() - query_start) * 1000)::bigint,
       lpad(to_hex(query_id), 16, '0'), left(query, 65536),
       octet_length(query) >= pg_size_bytes(current_setting('track_activity_query_size')) - 1,
       application_name
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND state = 'active'
  AND pid <> pg_backend_pid() AND application_name <> $2
  AND clock_timestamp() - query_start > $1::bigint * interval '1 millisecond'
ORDER BY 3 DESC, 1 LIMIT )";

// A base backup shows in the view too; it replays nothing.
constexpr char kReplicasSql[] = R"(/*slipstream:watch*/
SELECT coalesce(nullif(application_name, ''), host(client_addr), 'pid ' || pid),
       pg_wal_lsn_diff(at.lsn, coalesce(replay_lsn, flush_lsn, sent_lsn, at.lsn))::bigint,
       coalesce(extract(epoch FROM replay_lag) * 1000, 0)::bigint,
       pg_wal_lsn_diff(coalesce(replay_lsn, flush_lsn, sent_lsn, at.lsn), '0/0')::bigint,
       pg_wal_lsn_diff(at.lsn, '0/0')::bigint, state = 'streaming',
       (extract(epoch FROM clock_timestamp() - backend_start) * 1000)::bigint,
       (extract(epoch FROM clock_timestamp() - reply_time) * 1000)::bigint
FROM (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                  ELSE pg_current_wal_lsn() END AS lsn) at
LEFT JOIN pg_stat_replication r ON state <> 'backup'
ORDER BY 2 DESC NULLS LAST, 1 LIMIT )";

std::string Milliseconds(absl::Duration duration) {
  return absl::StrCat(absl::ToInt64Milliseconds(duration));
}

struct Root {
  std::string state;
  std::string statement;
};

absl::StatusOr<std::map<int, Root>> ReadRoots(postgres::Connection& connection,
                                              const std::set<int>& pids) {
  auto rows = connection.Query(kRootsSql, {absl::StrJoin(pids, ",")});
  if (!rows.ok()) return rows.status();
  std::map<int, Root> out;
  for (const postgres::Row& row : *rows) {
    out[Number<int>(row, 0)] = {Text(row, 1), RedactConstants(Text(row, 2))};
  }
  return out;
}

}  // namespace

absl::Status ReadLockWaits(postgres::Connection& connection, int limit_count,
                           v1::GetStatsResponse* out) {
  auto rows = connection.Query(absl::StrCat(kWaitsSql, kMaxWaitersCount));
  if (!rows.ok()) return rows.status();
  if (rows->empty()) return absl::OkStatus();
  LockGraph graph;
  for (const postgres::Row& row : *rows) {
    auto& blockers = graph[Number<int>(row, 0)];
    for (const auto part : absl::StrSplit(Text(row, 1), ',', absl::SkipEmpty())) {
      int pid = 0;
      if (blockers.size() < kMaxBlockersCount && absl::SimpleAtoi(part, &pid)) {
        blockers.push_back(pid);
      }
    }
  }
  std::set<int> root_pids;
  for (const postgres::Row& row : *rows) {
    if (out->lock_waits_size() >= limit_count) break;
    const int pid = Number<int>(row, 0);
    // What it waited for was given between the two looks into the lock table.
    if (graph[pid].empty()) continue;
    auto* wait = out->add_lock_waits();
    wait->set_waiting_pid(pid);
    for (const int blocker : graph[pid]) wait->add_blocking_pids(blocker);
    wait->set_root_pid(RootOf(graph, pid));
    wait->set_mode(Text(row, 2));
    wait->set_object(status::BoundedText(Text(row, 3), kMaxObjectBytes));
    wait->set_waited_ms(std::max<int64_t>(Number<int64_t>(row, 4), 0));
    wait->set_statement(RedactConstants(Text(row, 5)));
    root_pids.insert(wait->root_pid());
  }
  if (root_pids.empty()) return absl::OkStatus();
  auto roots = ReadRoots(connection, root_pids);
  if (!roots.ok()) return roots.status();
  for (auto& wait : *out->mutable_lock_waits()) {
    wait.set_root_state((*roots)[wait.root_pid()].state);
    wait.set_root_statement((*roots)[wait.root_pid()].statement);
  }
  return absl::OkStatus();
}

absl::Status ReadHeldSessions(postgres::Connection& connection, absl::Duration longer_than,
                              int limit_count, v1::GetStatsResponse* out) {
  auto rows = connection.Query(kHeldSql, {Milliseconds(longer_than), absl::StrCat(limit_count)});
  if (!rows.ok()) return rows.status();
  for (const postgres::Row& row : *rows) {
    auto* session = out->add_held_sessions();
    session->set_pid(Number<int32_t>(row, 0));
    session->set_application(Text(row, 1));
    session->set_user(Text(row, 2));
    session->set_state(Text(row, 3));
    session->set_held_ms(Number<int64_t>(row, 4));
    const std::string statement = Text(row, 5);
    session->set_statement(RedactConstants(statement));
    session->set_trace_id(TraceIdOf(statement));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<RunningStatement>> ReadRunning(postgres::Connection& connection,
                                                          absl::Duration longer_than) {
  auto rows = connection.Query(absl::StrCat(kRunningSql, kMaxRunningCount),
                               {Milliseconds(longer_than), std::string(kWatchApplication)});
  if (!rows.ok()) return rows.status();
  std::vector<RunningStatement> out;
  for (const postgres::Row& row : *rows) {
    RunningStatement one;
    one.pid = Number<int>(row, 0);
    one.started_us = Number<int64_t>(row, 1);
    one.running = absl::Milliseconds(Number<int64_t>(row, 2));
    one.fingerprint = Text(row, 3);
    one.statement = Text(row, 4);
    one.cut_off = Text(row, 5) == "t";
    one.application = Text(row, 6);
    out.push_back(std::move(one));
  }
  return out;
}

absl::StatusOr<ReplicaReadings> ReadReplicas(postgres::Connection& connection) {
  auto rows = connection.Query(absl::StrCat(kReplicasSql, kMaxReplicasCount));
  if (!rows.ok()) return rows.status();
  ReplicaReadings out;
  for (const postgres::Row& row : *rows) {
    out.current_lsn = Number<int64_t>(row, 4);
    if (!row[3] || Text(row, 0).empty()) continue;  // the row that is there without any replica
    ReplicaReading one;
    one.stats.set_name(status::BoundedText(Text(row, 0), kMaxNameBytes));
    one.stats.set_lag_bytes(std::max<int64_t>(Number<int64_t>(row, 1), 0));
    one.stats.set_lag_ms(Number<int64_t>(row, 2));
    one.replayed_lsn = Number<int64_t>(row, 3);
    one.streams = Text(row, 5) == "t";
    one.connected = absl::Milliseconds(Number<int64_t>(row, 6));
    // By two clocks: the replica's may be ahead.
    one.reply_age = absl::Milliseconds(std::max<int64_t>(Number<int64_t>(row, 7), 0));
    out.replicas.push_back(std::move(one));
  }
  return out;
}

}  // namespace slipstream::database_optimizer
