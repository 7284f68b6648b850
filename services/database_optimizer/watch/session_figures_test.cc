// What sessions do is provoked on a real PostgreSQL and seen with its object: slow statements,
// locks, repeated statements, held transactions. A quiet database shows none.
#include <future>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "services/database_optimizer/watch/statement_parse.h"
#include "services/database_optimizer/watch/watch_fixture.h"

namespace slipstream::database_optimizer {
namespace {

TEST_F(Watch, AQuietDatabaseShowsNone) {
  Run("CREATE TABLE quiet (id int)");
  Run("INSERT INTO quiet SELECT generate_series(1, 1000)");
  Run("VACUUM ANALYZE quiet");
  for (int i = 0; i < 3; ++i) Look();
  const auto stats = Stats();
  EXPECT_EQ(stats.slow_queries_size(), 0) << stats.ShortDebugString();
  EXPECT_EQ(stats.n_plus_one_patterns_size(), 0);
  EXPECT_EQ(stats.lock_waits_size(), 0);
  EXPECT_EQ(stats.held_sessions_size(), 0);
  EXPECT_EQ(stats.replicas_size(), 0);
  EXPECT_EQ(stats.alerts_size(), 0);
  EXPECT_TRUE(sink_.told.empty());
  EXPECT_EQ(stats.examined().looks_count(), 3);
  EXPECT_TRUE(stats.examined().has_watched_since());
  EXPECT_TRUE(stats.examined().has_observed_since());
  EXPECT_TRUE(stats.examined().has_since());
  EXPECT_GE(stats.examined().sessions_count(), 1);
  EXPECT_GE(stats.examined().bloat_estimated_count(), 1);
  ASSERT_NE(Table(stats, "public.quiet"), nullptr);
  EXPECT_EQ(Table(stats, "public.quiet")->bloat_bytes(), 0);
  EXPECT_EQ(stats.gaps_size(), 0) << stats.ShortDebugString();
  EXPECT_GE(stats.top_queries_size(), 1);
  for (const auto& query : stats.top_queries()) {
    EXPECT_FALSE(absl::StrContains(query.statement(), "pg_stat_activity"))
        << "the watch's own statements are no workload: " << query.statement();
  }
  Run("DROP TABLE quiet");
}

TEST_F(Watch, AStatementThatRunsIsSeenWithItsPlan) {
  settings_ = WatchSettings();  // as shipped: 500 ms, 2 s
  Remake();
  Run("CREATE TABLE busy (id int, name text)");
  Look();
  auto slow = std::async(std::launch::async, [] {
    auto connection = Open("reports");
    Run(*connection,
        "SELECT count(*), pg_sleep(3) FROM busy WHERE name = 'top secret' "
        "/*traceparent='00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'*/");
  });
  auto stats = LookUntil([](const auto& s) { return s.slow_queries_size() > 0; });
  ASSERT_GE(stats.slow_queries_size(), 1);
  const v1::SlowQuery seen = stats.slow_queries(0);
  EXPECT_EQ(seen.statement(), "SELECT count(*), pg_sleep($1) FROM busy WHERE name = $2");
  EXPECT_TRUE(absl::StrContains(seen.plan_json(), "Seq Scan")) << seen.plan_missing();
  EXPECT_TRUE(absl::StrContains(seen.plan_json(), "busy"));
  EXPECT_FALSE(absl::StrContains(seen.plan_json(), "top secret"));
  EXPECT_EQ(seen.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(seen.application(), "reports");
  EXPECT_GT(seen.pid(), 0);
  EXPECT_EQ(seen.fingerprint().size(), 16u);
  slow.get();
  // Its full time comes from the figures once it has ended; it stays one entry.
  stats = LookUntil([](const auto& s) { return s.slow_queries(0).duration_ms() >= 3000; });
  EXPECT_EQ(stats.slow_queries_size(), 1) << stats.ShortDebugString();
  EXPECT_EQ(stats.slow_queries(0).severity(), v1::SlowQuery::CRITICAL);
  EXPECT_EQ(stats.slow_queries(0).fingerprint(), seen.fingerprint());
  bool listed = false;
  for (const auto& query : stats.top_queries()) listed |= query.fingerprint() == seen.fingerprint();
  EXPECT_TRUE(listed) << "the fingerprint is that of the top statements";
  EXPECT_EQ(sink_.Count(Alert::SLOW_QUERY, AlertChange::State::kRaised), 1);
  Run("DROP TABLE busy");
}

TEST_F(Watch, AStatementBetweenTwoLooksIsSeenInTheFigures) {
  Run("CREATE TABLE between (id int PRIMARY KEY)");
  Look();
  Run("SELECT pg_sleep(0.2), id FROM between RIGHT JOIN (SELECT 1) x ON id = 5");
  Look();
  const auto stats = Stats();
  ASSERT_EQ(stats.slow_queries_size(), 1) << stats.ShortDebugString();
  const auto& seen = stats.slow_queries(0);
  EXPECT_GE(seen.duration_ms(), 200);
  EXPECT_EQ(seen.severity(), v1::SlowQuery::WARNING);
  EXPECT_TRUE(absl::StrContains(seen.plan_json(), "between_pkey")) << seen.ShortDebugString();
  EXPECT_EQ(seen.pid(), 0);
  EXPECT_TRUE(sink_.told.empty()) << "a warning is shown, and no alert";
  Look();
  EXPECT_EQ(Stats().slow_queries_size(), 1) << "it is told once";
  Run("DROP TABLE between");
}

TEST_F(Watch, AStatementThatWaitedForALockGetsItsPlanWhenItEnds) {
  Run("CREATE TABLE blocked (id int)");
  Look();
  auto holder = Open(), waiter = Open();
  Run(*holder, "BEGIN");
  Run(*holder, "LOCK TABLE blocked IN ACCESS EXCLUSIVE MODE");
  auto waits = std::async(std::launch::async,
                          [&] { Run(*waiter, "SELECT count(*) FROM blocked WHERE id > 5"); });
  auto stats = LookUntil([](const auto& s) { return s.slow_queries_size() == 1; });
  EXPECT_TRUE(absl::StrContains(stats.slow_queries(0).plan_missing(), "lock timeout"))
      << stats.ShortDebugString();
  Run(*holder, "COMMIT");
  waits.get();
  stats = LookUntil([](const auto& s) { return !s.slow_queries(0).plan_json().empty(); });
  EXPECT_EQ(stats.slow_queries_size(), 1);
  EXPECT_EQ(stats.slow_queries(0).plan_missing(), "");
  EXPECT_TRUE(absl::StrContains(stats.slow_queries(0).plan_json(), "blocked"));
  Run("DROP TABLE blocked");
}

TEST_F(Watch, UtilitiesAreNotSlowStatements) {
  Run("CREATE TABLE big AS SELECT i, repeat('x', 100) FROM generate_series(1, 10) i");
  Look();
  Run("DO $$ BEGIN PERFORM pg_sleep(0.3); END $$");
  Look();
  const auto stats = Stats();
  for (const auto& query : stats.slow_queries()) {
    EXPECT_FALSE(absl::StartsWith(query.statement(), "DO")) << query.ShortDebugString();
  }
  Run("DROP TABLE big");
}

TEST_F(Watch, AChainOfThreeLocksWithItsRoot) {
  Run("CREATE TABLE accounts (id int PRIMARY KEY, balance int)");
  Run("INSERT INTO accounts VALUES (1, 10), (2, 20)");
  auto root = Open("root"), middle = Open("middle"), last = Open("last");
  const int root_pid = Pid(*root), middle_pid = Pid(*middle), last_pid = Pid(*last);
  Run(*root, "BEGIN");
  Run(*root, "UPDATE accounts SET balance = 77 WHERE id = 1");
  Run(*middle, "BEGIN");
  Run(*middle, "UPDATE accounts SET balance = 0 WHERE id = 2");
  auto waits1 = std::async(
      std::launch::async, [&] { Run(*middle, "UPDATE accounts SET balance = 4711 WHERE id = 1"); });
  LookUntil([](const auto& s) { return s.lock_waits_size() == 1; });
  auto waits2 = std::async(std::launch::async,
                           [&] { Run(*last, "UPDATE accounts SET balance = 1 WHERE id = 2"); });
  auto stats = LookUntil(
      [](const auto& s) { return s.lock_waits_size() == 2 && s.lock_waits(1).waited_ms() >= 60; });
  ASSERT_EQ(stats.lock_waits_size(), 2);
  const auto& longest = stats.lock_waits(0);
  EXPECT_EQ(longest.waiting_pid(), middle_pid);
  ASSERT_EQ(longest.blocking_pids_size(), 1);
  EXPECT_EQ(longest.blocking_pids(0), root_pid);
  EXPECT_EQ(longest.root_pid(), root_pid);
  EXPECT_EQ(longest.root_state(), "idle in transaction");
  EXPECT_EQ(longest.root_statement(), "UPDATE accounts SET balance = $1 WHERE id = $2");
  EXPECT_TRUE(absl::StartsWith(longest.object(), "public.accounts row (")) << longest.object();
  EXPECT_EQ(longest.statement(), "UPDATE accounts SET balance = $1 WHERE id = $2");
  EXPECT_GT(longest.waited_ms(), 0);
  const auto& second = stats.lock_waits(1);
  EXPECT_EQ(second.waiting_pid(), last_pid);
  EXPECT_EQ(second.blocking_pids(0), middle_pid);
  EXPECT_EQ(second.root_pid(), root_pid);
  Look();
  EXPECT_GE(sink_.Count(Alert::LOCK_WAIT, AlertChange::State::kRaised), 2);
  Run(*root, "COMMIT");
  waits1.get();
  Run(*middle, "COMMIT");
  waits2.get();
  LookUntil([](const auto& s) { return s.lock_waits_size() == 0; });
  EXPECT_EQ(sink_.Count(Alert::LOCK_WAIT, AlertChange::State::kResolved),
            sink_.Count(Alert::LOCK_WAIT, AlertChange::State::kRaised));
  Run("DROP TABLE accounts");
}

TEST_F(Watch, ALockedTableIsNamed) {
  Run("CREATE TABLE \"Odd Name\" (id int)");
  auto holder = Open(), waiter = Open();
  Run(*holder, "BEGIN");
  Run(*holder, "SELECT * FROM \"Odd Name\"");
  auto waits = std::async(std::launch::async, [&] { Run(*waiter, "DROP TABLE \"Odd Name\""); });
  const absl::Time begin = absl::Now();
  const auto stats = LookUntil([](const auto& s) { return s.lock_waits_size() == 1; });
  EXPECT_EQ(stats.lock_waits(0).object(), "public.Odd Name");
  EXPECT_EQ(stats.lock_waits(0).mode(), "AccessExclusiveLock");
  // Nothing of a look queues up behind the one who waits.
  Look();
  Stats();
  EXPECT_LT(absl::Now() - begin, absl::Seconds(4));
  EXPECT_EQ(stats.gaps_size(), 1) << stats.ShortDebugString();
  EXPECT_TRUE(absl::StrContains(stats.gaps(0), "bloat is not known"));
  Run(*holder, "COMMIT");
  waits.get();
}

TEST_F(Watch, AnNPlusOneOfFifty) {
  Run("CREATE TABLE items (id int PRIMARY KEY, order_id int)");
  auto connection = Open();
  for (int id = 0; id < 50; ++id) {
    const std::string sql = absl::StrCat("SELECT * FROM items WHERE order_id = ", id);
    Run(*connection, sql);
    observed_.Observe("4bf92f3577b34da6a3ce929d0e0e4736", Fingerprint(sql), sql,
                      absl::Milliseconds(3), "OrderService.List");
  }
  Look();
  const auto stats = Stats();
  ASSERT_EQ(stats.n_plus_one_patterns_size(), 1);
  EXPECT_EQ(stats.n_plus_one_patterns(0).repetitions_count(), 50);
  EXPECT_EQ(stats.n_plus_one_patterns(0).statement(), "SELECT * FROM items WHERE order_id = $1");
  EXPECT_EQ(stats.n_plus_one_patterns(0).caller(), "OrderService.List");
  EXPECT_EQ(stats.examined().traces_count(), 1);
  EXPECT_EQ(stats.examined().observed_count(), 50);
  EXPECT_EQ(sink_.Count(Alert::N_PLUS_ONE, AlertChange::State::kRaised), 1);
  // What the pool measured is joined to the server's own figures of the shape.
  double p95_ms = 0;
  for (const auto& query : stats.top_queries()) {
    if (absl::StrContains(query.statement(), "FROM items WHERE")) p95_ms = query.p95_ms();
  }
  EXPECT_GE(p95_ms, 3);
  EXPECT_LE(p95_ms, 3 * 1.25);
  Run("DROP TABLE items");
}

TEST_F(Watch, ASessionThatHoldsItsTransactionAndALeakOfThePool) {
  settings_.slow_critical = absl::Milliseconds(60);
  Remake();
  auto leaker = Open("nightly export");
  const int pid = Pid(*leaker);
  Run(*leaker, "BEGIN");
  Run(*leaker, "SELECT 'private', 1");
  add_pool_ = [](v1::GetStatsResponse* out) {
    auto* leak = out->mutable_pool()->add_leaks();
    leak->set_holder("ReportService.Make");
    leak->set_held_ms(95000);
  };
  const auto stats = LookUntil([](const auto& s) { return s.held_sessions_size() == 1; });
  EXPECT_EQ(stats.held_sessions(0).pid(), pid);
  EXPECT_EQ(stats.held_sessions(0).application(), "nightly export");
  EXPECT_EQ(stats.held_sessions(0).user(), "postgres");
  EXPECT_EQ(stats.held_sessions(0).state(), "idle in transaction");
  EXPECT_EQ(stats.held_sessions(0).statement(), "SELECT $1, $2");
  EXPECT_GE(stats.held_sessions(0).held_ms(), 60);
  LookUntil([this](const auto&) {
    return sink_.Count(Alert::LEAKED_CONNECTION, AlertChange::State::kRaised) == 2;
  });
  Run(*leaker, "COMMIT");
  add_pool_ = [](v1::GetStatsResponse*) {};
  LookUntil([this](const auto&) {
    return sink_.Count(Alert::LEAKED_CONNECTION, AlertChange::State::kResolved) == 2;
  });
}

}  // namespace
}  // namespace slipstream::database_optimizer
