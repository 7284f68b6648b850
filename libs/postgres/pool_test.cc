// The pool on a real PostgreSQL that stays up: order, bounds, prepared statements, sessions, leaks.
#include <algorithm>
#include <atomic>
#include <set>

#include "libs/postgres/pool_fixture.h"

namespace slipstream::postgres {
namespace {

TEST_F(PoolTest, RowsParametersTypesAndNulls) {
  auto pool = Make(Options(2));
  // More than once, so that the prepared path is taken too.
  for (int i = 0; i < 5; ++i) {
    auto result =
        Ask(*pool, Read("SELECT $1::text || $2::text AS joined, $3::int8, generate_series(1, 2)",
                        {"a'", "\\b", std::nullopt}))
            .get();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->ToRows(), (Rows{{"a'\\b", std::nullopt, "1"}, {"a'\\b", std::nullopt, "2"}}));
    EXPECT_EQ(result->column_name(0), "joined");
    EXPECT_EQ(result->column_type(1), 20u);
  }
}

TEST_F(PoolTest, NoRowsStillHaveColumns) {
  auto pool = Make(Options(1));
  auto result = Ask(*pool, "SELECT 1 AS x, 'a'::text AS y WHERE false").get();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->rows_count(), 0);
  ASSERT_EQ(result->columns_count(), 2);
  EXPECT_EQ(result->column_name(1), "y");
}

TEST_F(PoolTest, AReadCannotWriteAndAWriteCan) {
  auto pool = Make(Options(1));
  EXPECT_EQ(status::Metadata(Ask(*pool, "CREATE TABLE refused (x int)").get().status(), "sqlstate"),
            "25006");
  auto made = Ask(*pool, Write("CREATE TABLE IF NOT EXISTS written (x int)")).get();
  ASSERT_TRUE(made.ok()) << made.status();
  auto inserted = Ask(*pool, Write("INSERT INTO written VALUES (1), (2)")).get();
  ASSERT_TRUE(inserted.ok()) << inserted.status();
  EXPECT_EQ(inserted->changed_count(), 2);
  EXPECT_GT(inserted->wal_position().bytes, 0u);
  // The same connection, so its mode was set back.
  EXPECT_EQ(
      status::Metadata(Ask(*pool, "INSERT INTO written VALUES (3)").get().status(), "sqlstate"),
      "25006");
  EXPECT_EQ(First(Ask(*pool, "SELECT count(*) FROM written").get()), "2");
}

TEST_F(PoolTest, WaitersAreServedInTheirOrder) {
  auto pool = Make(Options(1));
  auto lease = Take(*pool);
  ASSERT_TRUE(lease.ok()) << lease.status();
  std::vector<Answer> answers;
  for (int i = 0; i < 50; ++i) {
    answers.push_back(Ask(*pool, "SELECT clock_timestamp()::text"));
    ASSERT_TRUE(Eventually([&] { return pool->figures().waiters_count == i + 1; }));
  }
  *lease = Lease();
  std::vector<std::string> times;
  for (auto& answer : answers) times.push_back(First(answer.get()));
  EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
  EXPECT_EQ(std::set<std::string>(times.begin(), times.end()).size(), 50u);
}

// Who comes while others wait does not overtake them, even at the moment of a release.
TEST_F(PoolTest, NobodyOvertakesUnderLoad) {
  auto pool = Make(Options(2));
  std::atomic<bool> stop{false};
  std::vector<std::future<int64_t>> clients;
  for (int i = 0; i < 40; ++i) {
    auto promise = std::make_shared<std::promise<int64_t>>();
    clients.push_back(promise->get_future());
    scope_.Spawn([&, promise]() -> Async<void> {
      int64_t done_count = 0;
      while (!stop.load()) {
        auto result = co_await pool->Run(Read("SELECT 1"), {.holder = "test"});
        if (result.ok()) ++done_count;
      }
      promise->set_value(done_count);
    });
  }
  std::this_thread::sleep_for(std::chrono::seconds(1));  // the time that is measured
  stop.store(true);
  double sum = 0, squares = 0;
  for (auto& client : clients) {
    const auto count = static_cast<double>(client.get());
    sum += count;
    squares += count * count;
  }
  EXPECT_GT(sum, 1000);
  EXPECT_GE(sum * sum / (40 * squares), 0.99);  // Jain's index
}

TEST_F(PoolTest, TheQueueIsBoundedAndTheWaitToo) {
  PoolOptions options = Options(1);
  options.max_waiters_count = 2;
  options.acquire_timeout = absl::Milliseconds(200);
  auto pool = Make(options);
  auto lease = Take(*pool);
  ASSERT_TRUE(lease.ok()) << lease.status();
  auto first = Ask(*pool, "SELECT 1");
  auto second = Ask(*pool, "SELECT 1");
  ASSERT_TRUE(Eventually([&] { return pool->figures().waiters_count == 2; }));
  const auto begun = std::chrono::steady_clock::now();
  const absl::Status refused = Ask(*pool, "SELECT 1").get().status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status::Reason(refused), kBusy);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(100));
  EXPECT_EQ(status::Reason(first.get().status()), kBusy);
  EXPECT_EQ(status::Reason(second.get().status()), kBusy);
  EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(100));
  EXPECT_EQ(pool->figures().acquire_timeouts_count, 3);
}

TEST_F(PoolTest, ConnectionsAreReplacedAfterTheirQueriesNotAllAtOnce) {
  PoolOptions options = Options(4);
  options.max_connection_queries_count = 100;
  auto pool = Make(options);
  std::set<std::string> pids;
  for (int round = 0; round < 10; ++round) {
    std::vector<Answer> answers;
    for (int i = 0; i < 100; ++i) answers.push_back(Ask(*pool, "SELECT pg_backend_pid()"));
    for (auto& answer : answers) pids.insert(First(answer.get()));
  }
  const PoolFigures figures = pool->figures();
  EXPECT_GE(figures.recycled_count, 5);
  EXPECT_LE(figures.recycled_count, 12);
  EXPECT_GE(pids.size(), static_cast<size_t>(figures.recycled_count));
  EXPECT_EQ(figures.broken_count, 0);
}

// Each after a number of its own, so that those that were opened together do not go together.
TEST_F(PoolTest, HowManyQueriesAConnectionServesIsJittered) {
  PoolOptions options = Options(1);
  options.max_connection_queries_count = 100;
  auto pool = Make(options);
  std::vector<int> served;  // by each connection
  std::string last;
  while (served.size() < 8) {
    const std::string pid = First(Ask(*pool, "SELECT pg_backend_pid()").get());
    if (pid != last) served.push_back(0);
    last = pid;
    ++served.back();
  }
  served.pop_back();  // goes on
  const auto [fewest, most] = std::minmax_element(served.begin(), served.end());
  EXPECT_GE(*fewest, 90);
  EXPECT_LE(*most, 110);
  EXPECT_NE(*fewest, *most);
}

TEST_F(PoolTest, IdleConnectionsBeyondTheFewestAreClosed) {
  PoolOptions options = Options(6);
  options.min_connections_count = 2;
  options.idle_timeout = absl::Milliseconds(100);
  auto pool = Make(options);
  std::vector<Answer> answers;
  for (int i = 0; i < 6; ++i) answers.push_back(Ask(*pool, "SELECT pg_sleep(0.1)"));
  ASSERT_TRUE(Eventually([&] { return pool->figures().open_connections_count == 6; }));
  for (auto& answer : answers) EXPECT_TRUE(answer.get().ok());
  EXPECT_TRUE(Eventually([&] { return pool->figures().open_connections_count == 2; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // and not fewer
  EXPECT_EQ(pool->figures().open_connections_count, 2);
}

TEST_F(PoolTest, ALeakIsReportedWithItsHolder) {
  PoolOptions options = Options(2);
  options.leak_report = absl::Milliseconds(100);
  std::atomic<int> reports{0};
  options.on_leak = [&](const Leak& leak) {
    EXPECT_EQ(leak.holder, "forgetful");
    ++reports;
  };
  auto pool = Make(options);
  auto lease = Take(*pool, "forgetful");
  ASSERT_TRUE(lease.ok()) << lease.status();
  EXPECT_TRUE(pool->figures().leaks.empty());
  ASSERT_TRUE(Eventually([&] { return reports.load() == 1; }));
  const PoolFigures figures = pool->figures();
  ASSERT_EQ(figures.leaks.size(), 1u);
  EXPECT_EQ(figures.leaks[0].holder, "forgetful");
  EXPECT_EQ(figures.leaks[0].trace_id, "0af7");
  EXPECT_GE(figures.leaks[0].held, absl::Milliseconds(100));
  *lease = Lease();
  EXPECT_TRUE(Eventually([&] { return pool->figures().leaks.empty(); }));
  EXPECT_EQ(reports.load(), 1);
}

TEST_F(PoolTest, WhatALeaseLeavesOpenIsRolledBack) {
  auto pool = Make(Options(1));
  ASSERT_TRUE(Ask(*pool, Write("CREATE TABLE IF NOT EXISTS left_open (x int)")).get().ok());
  {
    auto lease = Take(*pool);
    ASSERT_TRUE(lease.ok()) << lease.status();
    ASSERT_TRUE(RunOn(*lease, Write("BEGIN")).ok());
    ASSERT_TRUE(RunOn(*lease, Write("INSERT INTO left_open VALUES (1)")).ok());
    EXPECT_EQ(First(RunOn(*lease, Read("SELECT count(*) FROM left_open"))), "1");
  }
  EXPECT_EQ(First(Ask(*pool, "SELECT count(*) FROM left_open").get()), "0");
}

TEST_F(PoolTest, ASessionThatWasMadeWritableIsThrownAway) {
  auto pool = Make(Options(1));
  const std::string before = First(Ask(*pool, "SELECT pg_backend_pid()").get());
  EXPECT_EQ(
      First(Ask(*pool, "SELECT set_config('default_transaction_read_only', 'off', false)").get()),
      "off");
  EXPECT_EQ(status::Metadata(Ask(*pool, "CREATE TABLE sneaky (x int)").get().status(), "sqlstate"),
            "25006");
  EXPECT_NE(First(Ask(*pool, "SELECT pg_backend_pid()").get()), before);
}

TEST_F(PoolTest, PreparedStatementsAreBoundedAndSurviveAChangedTable) {
  PoolOptions options = Options(1);
  options.max_prepared_count = 4;
  auto pool = Make(options);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 10; ++i) {
      const std::string sql = "SELECT " + std::to_string(i);
      for (int again = 0; again < 2; ++again) {
        EXPECT_EQ(First(Ask(*pool, sql).get()), std::to_string(i));
      }
    }
  }
  EXPECT_EQ(First(Ask(*pool, "SELECT count(*) FROM pg_prepared_statements").get()), "4");

  ASSERT_TRUE(Ask(*pool, Write("CREATE TABLE IF NOT EXISTS changing (x int)")).get().ok());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Ask(*pool, "SELECT * FROM changing").get().ok());
  }
  ASSERT_TRUE(Ask(*pool, Write("ALTER TABLE changing ADD y text")).get().ok());
  auto result = Ask(*pool, "SELECT * FROM changing").get();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->columns_count(), 2);
  ASSERT_TRUE(Ask(*pool, Write("DROP TABLE changing")).get().ok());
}

TEST_F(PoolTest, MoreRowsThanWantedAreDroppedAndAHugeResultIsRefused) {
  auto pool = Make(Options(1));
  Statement statement = Read("SELECT * FROM generate_series(1, 100)");
  statement.max_rows_count = 7;
  auto result = Ask(*pool, statement).get();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->rows_count(), 7);
  EXPECT_TRUE(result->truncated());

  // Without an end in sight the connection is not read to its end.
  statement = Read("SELECT 1 FROM generate_series(1, 50000) a, generate_series(1, 50000) b");
  statement.max_rows_count = 7;
  result = Ask(*pool, statement).get();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->rows_count(), 7);

  statement = Read("SELECT repeat('x', 10000) FROM generate_series(1, 1000)");
  statement.max_result_bytes = 1 << 20;
  EXPECT_EQ(status::Reason(Ask(*pool, statement).get().status()), kResultTooLarge);
  EXPECT_EQ(First(Ask(*pool, "SELECT 1").get()), "1");
}

TEST_F(PoolTest, AStatementEndsAtItsTimeoutAndAtItsCallers) {
  PoolOptions options = Options(1);
  options.statement_timeout = absl::Milliseconds(200);
  auto pool = Make(options);
  absl::Status status = Ask(*pool, "SELECT pg_sleep(30)").get().status();
  EXPECT_EQ(status::Reason(status), kStatementTimeout) << status;
  EXPECT_EQ(First(Ask(*pool, "SELECT 1").get()), "1");

  options = Options(1);
  options.abandon_grace = absl::Milliseconds(200);
  pool = Make(options);
  const auto begun = std::chrono::steady_clock::now();
  status = Ask(*pool, "SELECT pg_sleep(60.5)", absl::Milliseconds(100)).get().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(1));
  // Its connection is cut, the server ends the statement, and the pool is whole again.
  EXPECT_EQ(First(Ask(*pool, "SELECT 1").get()), "1");
  EXPECT_TRUE(Eventually([&] {
    return First(Ask(*pool,
                     "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(60' || '.5)'")
                     .get()) == "0";
  }));
}

// A short overrun costs no connection.
TEST_F(PoolTest, AnOverdueStatementThatEndsSoonKeepsItsConnection) {
  auto pool = Make(Options(1));
  const std::string before = First(Ask(*pool, "SELECT pg_backend_pid()").get());
  EXPECT_FALSE(Ask(*pool, "SELECT pg_sleep(0.3)", absl::Milliseconds(100)).get().ok());
  EXPECT_EQ(First(Ask(*pool, "SELECT pg_backend_pid()").get()), before);
  EXPECT_EQ(pool->figures().broken_count, 0);
}

TEST_F(PoolTest, ObserversHearOfEachStatement) {
  struct Recorder final : StatementObserver {
    void OnStatement(const StatementEvent& event) override {
      sync::MutexLock lock(mutex);
      seen.push_back(*event.statement.sql + " " + event.caller.trace_id + " " +
                     std::to_string(event.rows_count) + (event.status.ok() ? "" : " failed"));
    }
    sync::Mutex mutex;
    std::vector<std::string> seen ABSL_GUARDED_BY(mutex);
  };
  auto recorder = std::make_shared<Recorder>();
  PoolOptions options = Options(1);
  options.observer = recorder;
  auto pool = Make(options);
  Ask(*pool, "SELECT generate_series(1, 3)").get().IgnoreError();
  Ask(*pool, "SELECT nonsense").get().IgnoreError();
  sync::MutexLock lock(recorder->mutex);
  EXPECT_EQ(recorder->seen, (std::vector<std::string>{"SELECT generate_series(1, 3) 0af7 3",
                                                      "SELECT nonsense 0af7 0 failed"}));
}

TEST_F(PoolTest, TypesHaveNames) {
  auto pool = Make(Options(1));
  ASSERT_TRUE(Ask(*pool, Write("CREATE TYPE mood AS ENUM ('fine')")).get().ok());
  auto result = Ask(*pool, "SELECT 'fine'::mood, 1::int8").get();
  ASSERT_TRUE(result.ok()) << result.status();
  std::promise<std::pair<std::string, std::string>> names;
  scope_.Spawn([&]() -> Async<void> {
    std::string first = co_await pool->TypeName(result->column_type(0));
    std::string second = co_await pool->TypeName(result->column_type(1));
    names.set_value({first, second});
  });
  EXPECT_EQ(names.get_future().get(), (std::pair<std::string, std::string>("mood", "int8")));
}

TEST_F(PoolTest, StopEndsWhatWaitsAndRuns) {
  auto pool = Make(Options(1));
  auto running = Ask(*pool, "SELECT pg_sleep(30)");
  ASSERT_TRUE(Eventually([&] { return pool->figures().busy_connections_count == 1; }));
  auto waiting = Ask(*pool, "SELECT 1");
  ASSERT_TRUE(Eventually([&] { return pool->figures().waiters_count == 1; }));
  pool->Stop();
  EXPECT_EQ(running.get().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(waiting.get().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Ask(*pool, "SELECT 1").get().status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace slipstream::postgres
