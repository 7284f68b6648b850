// The pool while its PostgreSQL is stopped, restarted, silent, full or read-only.
#include <atomic>

#include "libs/postgres/pool_fixture.h"

namespace slipstream::postgres {
namespace {

using std::chrono::steady_clock;

class PoolFaultsTest : public PoolTest {
 protected:
  static PoolOptions Quick(int connections_count) {
    PoolOptions options = Options(connections_count);
    options.abandon_grace = absl::Milliseconds(200);
    options.breaker_open = absl::Milliseconds(200);
    return options;
  }
};

TEST_F(PoolFaultsTest, AwayIsRefusedAtOnceAndBackIsFoundByItself) {
  auto pool = Make(Quick(2));
  ASSERT_TRUE(Ask(*pool, "SELECT 1").get().ok());
  server_->Kill();
  const auto begun = steady_clock::now();
  absl::Status status = Ask(*pool, "SELECT 1").get().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_LT(steady_clock::now() - begun, std::chrono::seconds(2));
  // After some failures in a row nobody tries for a while, and callers are told how long.
  ASSERT_TRUE(Eventually([&] { return pool->figures().circuit_state == CircuitState::kOpen; }));
  ASSERT_TRUE(Eventually([&] {
    status = Ask(*pool, "SELECT 1").get().status();
    return status::Reason(status) == kCircuitOpen;
  })) << status;
  EXPECT_TRUE(status::RetryAfter(status).has_value());
  EXPECT_NE(status.message().find("refused"), absl::string_view::npos) << status;
  ASSERT_TRUE(server_->Restart().ok());
  EXPECT_TRUE(
      Eventually([&] { return Ask(*pool, "SELECT 1").get().ok(); }, std::chrono::seconds(5)));
  EXPECT_EQ(pool->figures().circuit_state, CircuitState::kClosed);
}

TEST_F(PoolFaultsTest, TheFirstReadAfterARestartSucceeds) {
  auto pool = Make(Quick(3));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Ask(*pool, "SELECT 1").get().ok());
  ASSERT_TRUE(server_->Restart().ok());
  auto result = Ask(*pool, "SELECT 1").get();
  EXPECT_TRUE(result.ok()) << result.status();
  EXPECT_GE(pool->figures().broken_count, 1);
}

// It may have been made, so it is never made twice.
TEST_F(PoolFaultsTest, AWriteWhoseConnectionBreaksIsNotRepeated) {
  auto pool = Make(Quick(1));
  ASSERT_TRUE(Ask(*pool, Write("CREATE TABLE IF NOT EXISTS once (x int)")).get().ok());
  auto writing = Ask(*pool, Write("WITH w AS (INSERT INTO once VALUES (1)) SELECT pg_sleep(30)"));
  ASSERT_TRUE(Eventually([&] {
    return *server_->Sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'WITH w%'") == "1";
  }));
  ASSERT_TRUE(server_
                  ->Sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE query LIKE 'WITH w%'")
                  .ok());
  EXPECT_EQ(writing.get().status().code(), absl::StatusCode::kUnavailable);
  // A backend says that it ends a moment before it is gone.
  EXPECT_TRUE(Eventually([&] {
    return *server_->Sql(
               "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'WITH w%' "
               "AND state = 'active'") == "0";
  }));
  // A read is.
  auto reading = Ask(*pool, "SELECT pg_sleep(0.5)::text");
  ASSERT_TRUE(Eventually([&] {
    return *server_->Sql(
               "SELECT count(*) FROM pg_stat_activity WHERE query LIKE "
               "'SELECT pg_sleep(0.5)%' AND state = 'active'") == "1";
  }));
  ASSERT_TRUE(server_
                  ->Sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE query LIKE 'SELECT pg_sleep(0.5)%'")
                  .ok());
  auto result = reading.get();
  EXPECT_TRUE(result.ok()) << result.status();
}

TEST_F(PoolFaultsTest, ASilentServerIsGivenUpInTimeAndFoundAgain) {
  PoolOptions options = Quick(2);
  options.acquire_timeout = absl::Milliseconds(500);
  auto pool = Make(options);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(Ask(*pool, "SELECT 1").get().ok());
  server_->Pause();
  const auto begun = steady_clock::now();
  std::vector<Answer> answers;
  for (int i = 0; i < 6; ++i) {
    answers.push_back(Ask(*pool, "SELECT 1", absl::Milliseconds(400)));
  }
  for (auto& answer : answers) EXPECT_FALSE(answer.get().ok());
  EXPECT_LT(steady_clock::now() - begun, std::chrono::seconds(2));
  server_->Resume();
  EXPECT_TRUE(Eventually([&] { return Ask(*pool, "SELECT 1").get().ok(); }));
}

TEST_F(PoolFaultsTest, OutOfConnectionsSaysSoAndEnds) {
  // All but the superuser's reserve.
  std::vector<std::unique_ptr<Connection>> others;
  for (;;) {
    auto connection = Connection::Open({.url = server_->url()});
    if (!connection.ok()) break;
    others.push_back(*std::move(connection));
    ASSERT_LT(others.size(), 100u);
  }
  auto pool = Make(Quick(2));
  absl::Status status = Ask(*pool, "SELECT 1").get().status();
  if (status::Reason(status) != kCircuitOpen) {
    EXPECT_EQ(status::Reason(status), kOutOfConnections) << status;
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(status.message().find("max_connections"), absl::string_view::npos) << status;
  others.clear();
  EXPECT_TRUE(Eventually([&] { return Ask(*pool, "SELECT 1").get().ok(); }));
}

// With one connection of many the pool goes on: who waits gets that one in turn.
TEST_F(PoolFaultsTest, FewerConnectionsThanWantedServeAll) {
  auto pool = Make(Quick(1));
  ASSERT_TRUE(Ask(*pool, "SELECT 1").get().ok());
  PoolOptions options = Quick(8);
  options.min_connections_count = 1;
  auto wide = Make(options);
  ASSERT_TRUE(Ask(*wide, "SELECT 1").get().ok());
  std::vector<std::unique_ptr<Connection>> others;
  for (;;) {
    auto connection = Connection::Open({.url = server_->url()});
    if (!connection.ok()) break;
    others.push_back(*std::move(connection));
  }
  std::vector<Answer> answers;
  for (int i = 0; i < 30; ++i) answers.push_back(Ask(*wide, "SELECT pg_sleep(0.005)"));
  for (auto& answer : answers) {
    auto result = answer.get();
    EXPECT_TRUE(result.ok()) << result.status();
  }
}

TEST_F(PoolFaultsTest, AReadOnlyServerRefusesWritesByName) {
  ASSERT_TRUE(server_->Sql("CREATE TABLE IF NOT EXISTS guarded (x int)").ok());
  auto replica = server_->StartReplica();
  ASSERT_TRUE(replica.ok()) << replica.status();
  PoolOptions options = Quick(1);
  options.primary_url = (*replica)->url();
  auto pool = Make(options);
  const absl::Status status = Ask(*pool, Write("INSERT INTO guarded VALUES (1)")).get().status();
  EXPECT_EQ(status::Reason(status), kReadOnly) << status;
  EXPECT_TRUE(Ask(*pool, "SELECT 1").get().ok());
}

// Two hosts: the one that takes writes is found, and found again when the roles change.
TEST_F(PoolFaultsTest, FailoverFindsTheNewPrimary) {
  auto primary = tests::PostgresServer::Start();
  ASSERT_TRUE(primary.ok()) << primary.status();
  ASSERT_TRUE((*primary)->Sql("CREATE TABLE t (x int)").ok());
  auto replica = (*primary)->StartReplica();
  ASSERT_TRUE(replica.ok()) << replica.status();
  PoolOptions options = Quick(2);
  options.primary_url = "postgresql://postgres@127.0.0.1:" + std::to_string((*replica)->port()) +
                        ",127.0.0.1:" + std::to_string((*primary)->port()) + "/postgres";
  options.replica_check_interval = absl::Milliseconds(50);
  auto pool = Make(options);
  EXPECT_EQ(First(Ask(*pool, "SELECT inet_server_port()").get()),
            std::to_string((*primary)->port()));
  (*primary)->Kill();
  ASSERT_TRUE((*replica)->Promote().ok());
  EXPECT_TRUE(Eventually([&] { return Ask(*pool, Write("INSERT INTO t VALUES (1)")).get().ok(); }));
  EXPECT_EQ(First(Ask(*pool, "SELECT inet_server_port()").get()),
            std::to_string((*replica)->port()));
}

// Its connections are all right, and yet it is left: it was told to take no more writes.
TEST_F(PoolFaultsTest, AServerThatBecameReadOnlyIsLeft) {
  auto first = tests::PostgresServer::Start();
  ASSERT_TRUE(first.ok()) << first.status();
  auto second = tests::PostgresServer::Start();
  ASSERT_TRUE(second.ok()) << second.status();
  PoolOptions options = Quick(2);
  options.primary_url = "postgresql://postgres@127.0.0.1:" + std::to_string((*first)->port()) +
                        ",127.0.0.1:" + std::to_string((*second)->port()) + "/postgres";
  options.replica_check_interval = absl::Milliseconds(50);
  auto pool = Make(options);
  const auto port = [&] { return First(Ask(*pool, "SELECT inet_server_port()").get()); };
  EXPECT_EQ(port(), std::to_string((*first)->port()));
  ASSERT_TRUE((*first)->Sql("ALTER SYSTEM SET default_transaction_read_only = on").ok());
  ASSERT_TRUE((*first)->Sql("SELECT pg_reload_conf()").ok());
  EXPECT_TRUE(Eventually([&] { return port() == std::to_string((*second)->port()); },
                         std::chrono::seconds(3)));
}

}  // namespace
}  // namespace slipstream::postgres
