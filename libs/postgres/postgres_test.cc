// Against a real PostgreSQL server that is killed, paused and started again.
#include <future>
#include <memory>

#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/async/scope.h"
#include "libs/postgres/client.h"
#include "libs/postgres/connection.h"
#include "libs/status/status.h"
#include "tests/harness/postgres_server.h"

namespace slipstream::postgres {
namespace {

using tests::PostgresServer;

ConnectionOptions To(const std::string& url) {
  ConnectionOptions options;
  options.url = url;
  options.connect_timeout = absl::Seconds(2);
  return options;
}

// Initialising a database takes seconds, so the tests share one; each leaves it running.
class PostgresTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto server = PostgresServer::Start();
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = server->release();
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  std::unique_ptr<Client> MakeClient(int threads_count = 1) {
    ClientOptions options{.connection = To(server_->url()),
                          .threads_count = threads_count,
                          .max_waiting_count = 2,
                          .retry_broken = true};
    return std::make_unique<Client>(options);
  }
  using Answer = std::future<absl::StatusOr<Rows>>;
  Answer Ask(Client& client, std::string sql, absl::Duration timeout = absl::Seconds(20)) {
    auto promise = std::make_shared<std::promise<absl::StatusOr<Rows>>>();
    auto answer = promise->get_future();
    scope_.Spawn([&client, sql, timeout, promise]() -> Async<void> {
      promise->set_value(co_await client.Run<Rows>(
          timeout, [sql](Connection& c) -> absl::StatusOr<Rows> { return c.Query(sql); }));
    });
    return answer;
  }

  inline static PostgresServer* server_ = nullptr;
  async::Runtime runtime_{1};
  async::Scope scope_{runtime_.executor()};
};

TEST_F(PostgresTest, RowsParametersAndNulls) {
  auto connection = Connection::Open(To(server_->url()));
  ASSERT_TRUE(connection.ok()) << connection.status();
  auto rows = (*connection)
                  ->Query("SELECT $1::text || $2::text, $3::text, generate_series(1, 2)",
                          {"a'", "\\b", std::nullopt});
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(*rows, (Rows{{"a'\\b", std::nullopt, "1"}, {"a'\\b", std::nullopt, "2"}}));
  EXPECT_GE((*connection)->server_version(), kMinServerVersion);
}

TEST_F(PostgresTest, ARefusedStatementKeepsTheConnection) {
  auto connection = Connection::Open(To(server_->url()));
  ASSERT_TRUE(connection.ok()) << connection.status();
  const absl::Status status = (*connection)->Query("SELECT * FROM nowhere").status();
  EXPECT_EQ(status::Reason(status), kStatementRefused);
  EXPECT_EQ(status::Metadata(status, "sqlstate"), "42P01");
  EXPECT_TRUE((*connection)->Query("SELECT 1").ok());
}

TEST_F(PostgresTest, QueryOneTakesNoMoreThanOne) {
  auto connection = Connection::Open(To(server_->url()));
  ASSERT_TRUE(connection.ok()) << connection.status();
  const absl::Status status =
      (*connection)->QueryOne("SELECT 1; CREATE TABLE smuggled (i int)").status();
  EXPECT_EQ(status::Metadata(status, "sqlstate"), "42601") << status;
  auto rows = (*connection)->QueryOne("SELECT to_regclass('smuggled')");
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(*rows, (Rows{{std::nullopt}}));
  rows = (*connection)->QueryOne("SELECT $1", {"x"});
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(*rows, (Rows{{"x"}}));
}

TEST_F(PostgresTest, TheServerEndsAStatementAtItsTimeout) {
  ConnectionOptions options = To(server_->url());
  options.statement_timeout = absl::Milliseconds(50);
  auto connection = Connection::Open(options);
  ASSERT_TRUE(connection.ok()) << connection.status();
  const absl::Status status = (*connection)->Query("SELECT pg_sleep(30)").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(status::Reason(status), kStatementTimeout);
}

TEST_F(PostgresTest, AReadOnlyConnectionRefusesWrites) {
  ConnectionOptions options = To(server_->url());
  options.read_only = true;
  auto connection = Connection::Open(options);
  ASSERT_TRUE(connection.ok()) << connection.status();
  const absl::Status status = (*connection)->Query("CREATE TABLE t (x int)").status();
  EXPECT_EQ(status::Metadata(status, "sqlstate"), "25006");
}

TEST_F(PostgresTest, AnOldServerIsRefusedByName) {
  ConnectionOptions options = To(server_->url());
  options.min_server_version = 990002;
  const absl::Status status = Connection::Open(options).status();
  EXPECT_EQ(status::Reason(status), kTooOld);
  EXPECT_NE(status.message().find("99.2 or later is needed"), absl::string_view::npos) << status;
}

TEST_F(PostgresTest, TheFirstCallAfterARestartSucceeds) {
  auto client = MakeClient();
  ASSERT_TRUE(Ask(*client, "SELECT 1").get().ok());
  const absl::Status back = server_->Restart();
  ASSERT_TRUE(back.ok()) << back;
  auto rows = Ask(*client, "SELECT 1").get();
  EXPECT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(client->figures().broken_count, 1);
  client->Stop();
}

TEST_F(PostgresTest, AwayIsUnreachableAndBackIsBack) {
  auto client = MakeClient();
  ASSERT_TRUE(Ask(*client, "SELECT 1").get().ok());
  server_->Kill();
  EXPECT_EQ(status::Reason(Ask(*client, "SELECT 1").get().status()), kUnreachable);
  const absl::Status back = server_->Restart();
  ASSERT_TRUE(back.ok()) << back;
  auto rows = Ask(*client, "SELECT 1").get();
  EXPECT_TRUE(rows.ok()) << rows.status();
}

TEST_F(PostgresTest, AServerThatDoesNotAnswerIsGivenUpInTime) {
  auto client = MakeClient();
  ASSERT_TRUE(Ask(*client, "SELECT 1").get().ok());
  server_->Pause();
  const absl::Status status = Ask(*client, "SELECT 1", absl::Milliseconds(200)).get().status();
  EXPECT_EQ(status::Reason(status), kUnreachable) << status;
  EXPECT_NE(status.message().find("did not answer within 200ms"), absl::string_view::npos);
  // Its connection was cut, so the one thread is free again, if only to wait for a new one.
  EXPECT_EQ(status::Reason(Ask(*client, "SELECT 1", absl::Seconds(1)).get().status()),
            kUnreachable);
  server_->Resume();
  auto rows = Ask(*client, "SELECT 1").get();
  EXPECT_TRUE(rows.ok()) << rows.status();
}

TEST_F(PostgresTest, TheQueueIsBounded) {
  auto client = MakeClient();
  server_->Pause();
  std::vector<Answer> answers;
  answers.push_back(Ask(*client, "SELECT 1"));
  // The one thread holds the first job before the others come, so exactly two may wait.
  while (client->figures().acquired_count < 1) std::this_thread::yield();
  answers.push_back(Ask(*client, "SELECT 1", absl::Milliseconds(50)));
  answers.push_back(Ask(*client, "SELECT 1", absl::Milliseconds(50)));
  while (client->figures().waiting_count < 2 && client->figures().acquire_timeouts_count < 1) {
    std::this_thread::yield();
  }
  answers.push_back(Ask(*client, "SELECT 1", absl::Milliseconds(50)));
  for (int i = 1; i < 4; ++i) EXPECT_EQ(status::Reason(answers[i].get().status()), kBusy);
  server_->Resume();
  EXPECT_TRUE(answers[0].get().ok());
}

TEST_F(PostgresTest, StopEndsWhatWaits) {
  auto client = MakeClient();
  ASSERT_TRUE(Ask(*client, "SELECT 1").get().ok());
  server_->Pause();
  auto running = Ask(*client, "SELECT 1");
  while (client->figures().busy_connections_count < 1) std::this_thread::yield();
  auto waiting = Ask(*client, "SELECT 1");
  client->Stop();
  EXPECT_EQ(running.get().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(waiting.get().status().code(), absl::StatusCode::kUnavailable);
  server_->Resume();
}

TEST(ConnectionUrl, ABadOneIsRefusedWithoutQuotingIt) {
  for (const char* url : {"postgresql://u:s3cret@host:port:9/x", "s3cret",
                          "postgresql://u:x@s3cret@host/x", "postgresql://%zz"}) {
    const absl::Status status = CheckUrl(url);
    EXPECT_EQ(status::Reason(status), kUrlInvalid) << url;
    EXPECT_EQ(status.message().find("s3cret"), absl::string_view::npos) << status;
  }
  EXPECT_TRUE(CheckUrl("postgresql://user:p%40ss@db.example.com:5432/app?sslmode=require").ok());
}

TEST(ConnectionUrl, WhereItLeadsWithoutSecrets) {
  EXPECT_EQ(AddressText("postgresql://u:s3?cret@db.example.com:5433/app?connect_timeout=3"),
            "db.example.com:5433/app");
  EXPECT_EQ(AddressText("postgresql://db/app?user=u&password=s3%40cret"), "db/app");
  EXPECT_EQ(AddressText("host=db dbname=app password='s3@cret'"), "db/app");
  EXPECT_EQ(AddressText("postgresql://%zz"), "");
  EXPECT_EQ(DatabaseText("postgresql://u:s3cret@db:5433/app"), "app");
  EXPECT_EQ(DatabaseText("postgresql://db"), "");
}

TEST(ConnectionVersion, TheOldestThatServes) {
  EXPECT_TRUE(CheckServerVersion(140002, kMinServerVersion).ok());
  const absl::Status status = CheckServerVersion(140001, kMinServerVersion);
  EXPECT_EQ(status::Reason(status), kTooOld);
  EXPECT_EQ(status.message(),
            "PostgreSQL 14.1 is too old: 14.2 or later is needed; upgrade the server or configure "
            "another one");
}

}  // namespace
}  // namespace slipstream::postgres
