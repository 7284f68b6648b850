// Query on a real PostgreSQL: what is answered, and what is refused with which reason.
#include "services/database_optimizer/query/query_engine.h"

#include <chrono>
#include <future>
#include <memory>

#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/async/scope.h"
#include "libs/clock/clock.h"
#include "libs/status/status.h"
#include "tests/harness/postgres_server.h"

namespace slipstream::database_optimizer {
namespace {

v1::QueryRequest Asking(const std::string& statement) {
  v1::QueryRequest request;
  request.set_statement(statement);
  return request;
}

class QueryEngineTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto server = tests::PostgresServer::Start();
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = server->release();
    ASSERT_TRUE(server_
                    ->Sql("CREATE TABLE items (id int PRIMARY KEY, name text); "
                          "INSERT INTO items VALUES (1, 'one'), (2, 'two''s'), (3, NULL)")
                    .ok());
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }
  void SetUp() override { pool_.Start(); }

  absl::StatusOr<v1::QueryResponse> Query(const v1::QueryRequest& request) {
    std::promise<absl::StatusOr<v1::QueryResponse>> promise;
    scope_.Spawn([&]() -> Async<void> {
      v1::QueryResponse response;
      absl::Status status = co_await engine_.Query(request, {.holder = "test"}, &response);
      if (status.ok()) {
        promise.set_value(response);
      } else {
        promise.set_value(status);
      }
    });
    return promise.get_future().get();
  }
  std::string ReasonOf(const v1::QueryRequest& request) {
    auto answer = Query(request);
    if (answer.ok()) return "answered: " + answer->ShortDebugString();
    return status::Reason(answer.status());
  }
  std::string ReasonOf(const std::string& statement) { return ReasonOf(Asking(statement)); }

  inline static tests::PostgresServer* server_ = nullptr;
  clock::SystemClock clock_;
  async::Runtime runtime_{2};
  async::Scope scope_{runtime_.executor()};
  postgres::Pool pool_{{.primary_url = server_->url(), .max_connections_count = 5}, clock_};
  QueryEngine engine_{pool_, clock_};
};

TEST_F(QueryEngineTest, RowsWithColumnsTypesAndParameters) {
  v1::QueryRequest request = Asking(
      "SELECT id, name, id > 1 AS big, $2::text AS given FROM items WHERE id >= $1 ORDER BY id");
  request.add_parameters()->set_number_value(2);
  request.add_parameters()->set_string_value("'; DROP TABLE items; --");
  auto answer = Query(request);
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_EQ(answer->columns_size(), 4);
  EXPECT_EQ(answer->columns(0).name(), "id");
  EXPECT_EQ(answer->columns(0).type(), "int4");
  EXPECT_EQ(answer->columns(2).type(), "bool");
  ASSERT_EQ(answer->rows_size(), 2);
  EXPECT_EQ(answer->rows(0).values(0).number_value(), 2);
  EXPECT_EQ(answer->rows(0).values(1).string_value(), "two's");
  EXPECT_TRUE(answer->rows(0).values(2).bool_value());
  EXPECT_EQ(answer->rows(0).values(3).string_value(), "'; DROP TABLE items; --");
  EXPECT_TRUE(answer->rows(1).values(1).has_null_value());
  EXPECT_FALSE(answer->truncated());
  EXPECT_FALSE(answer->from_cache());
  EXPECT_GT(answer->duration_ms(), 0);
}

TEST_F(QueryEngineTest, NumbersThatADoubleCannotHoldAreStrings) {
  auto answer = Query(
      Asking("SELECT 9007199254740992::int8, 9007199254740993::int8, (-9007199254740993)::int8, "
             "12.50::numeric, 1234567890.1234567::numeric, 'NaN'::float8, 'Infinity'::float8, "
             "1e300::float8, 0.1::float4, '{1,2}'::int[], NULL::int8"));
  ASSERT_TRUE(answer.ok()) << answer.status();
  const auto& values = answer->rows(0).values();
  EXPECT_EQ(values[0].number_value(), 9007199254740992.0);
  EXPECT_EQ(values[1].string_value(), "9007199254740993");
  EXPECT_EQ(values[2].string_value(), "-9007199254740993");
  EXPECT_EQ(values[3].number_value(), 12.5);
  EXPECT_EQ(values[4].string_value(), "1234567890.1234567");
  EXPECT_EQ(values[5].string_value(), "NaN");
  EXPECT_EQ(values[6].string_value(), "Infinity");
  EXPECT_EQ(values[7].number_value(), 1e300);
  EXPECT_EQ(values[8].number_value(), 0.1);
  EXPECT_EQ(values[9].string_value(), "{1,2}");
  EXPECT_TRUE(values[10].has_null_value());
}

TEST_F(QueryEngineTest, ParametersOfEachKind) {
  v1::QueryRequest request =
      Asking("SELECT $1::bool, $2::float8, $3::int8, $4::text IS NULL, $5::int");
  request.add_parameters()->set_bool_value(true);
  request.add_parameters()->set_number_value(0.1);
  request.add_parameters()->set_number_value(9007199254740992.0);
  request.add_parameters()->set_null_value(google::protobuf::NULL_VALUE);
  request.add_parameters()->set_string_value("-7");
  auto answer = Query(request);
  ASSERT_TRUE(answer.ok()) << answer.status();
  const auto& values = answer->rows(0).values();
  EXPECT_TRUE(values[0].bool_value());
  EXPECT_EQ(values[1].number_value(), 0.1);
  EXPECT_EQ(values[2].number_value(), 9007199254740992.0);
  EXPECT_TRUE(values[3].bool_value());
  EXPECT_EQ(values[4].number_value(), -7);
}

TEST_F(QueryEngineTest, WhatWritesIsRefused) {
  for (const char* statement :
       {"INSERT INTO items VALUES (9, 'x')",
        "UPDATE items SET name = 'x'",
        "DELETE FROM items",
        "TRUNCATE items",
        "DROP TABLE items",
        "CREATE TABLE other (x int)",
        "WITH d AS (DELETE FROM items RETURNING *) SELECT * FROM d",
        "SELECT * FROM (WITH d AS (UPDATE items SET name = 'x' RETURNING 1) SELECT 1) s",
        "SELECT * INTO other FROM items",
        "SELECT * FROM items FOR UPDATE",
        "SELECT * FROM (SELECT * FROM items FOR SHARE) s",
        "COPY items TO STDOUT",
        "COPY items TO PROGRAM 'true'",
        "SET default_transaction_read_only = off",
        "BEGIN",
        "COMMIT",
        "DO $$ BEGIN END $$",
        "CALL nothing()",
        "VACUUM",
        "LISTEN x",
        "NOTIFY x",
        "LOCK items",
        "PREPARE p AS SELECT 1",
        "EXPLAIN ANALYZE DELETE FROM items",
        "DISCARD ALL",
        "MERGE INTO items USING items i ON false WHEN MATCHED THEN DELETE"}) {
    EXPECT_EQ(ReasonOf(statement), "STATEMENT_NOT_READ_ONLY") << statement;
  }
  EXPECT_EQ(*server_->Sql("SELECT count(*) FROM items"), "3");
}

TEST_F(QueryEngineTest, FunctionsWithLastingEffectsAreRefused) {
  for (const char* statement :
       {"SELECT set_config('default_transaction_read_only', 'off', false)",
        "SELECT pg_catalog.set_config('role', 'postgres', false)",
        "SELECT \"set_config\"('x.y', 'off', false)", "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_lock_shared(1)", "SELECT pg_terminate_backend(1)",
        "SELECT pg_notify('a', 'b')", "SELECT pg_read_file('/etc/passwd')",
        "SELECT * FROM pg_ls_dir('/')", "SELECT lo_import('/etc/passwd')", "SELECT nextval('s')",
        "SELECT pg_reload_conf()", "SELECT 1 WHERE (SELECT count(*) FROM dblink('x', 'y')) > 0",
        "SELECT query_to_xml('DELETE FROM items', true, true, '')",
        "VALUES (pg_stat_reset()::text)"}) {
    EXPECT_EQ(ReasonOf(statement), "FUNCTION_NOT_ALLOWED") << statement;
  }
}

// One of a user's own hides what it does from the parser; PostgreSQL and the pool stop it.
TEST_F(QueryEngineTest, AFunctionThatWritesIsStoppedByTheTransaction) {
  ASSERT_TRUE(server_
                  ->Sql("CREATE OR REPLACE FUNCTION sneak() RETURNS int LANGUAGE sql VOLATILE AS "
                        "$$ INSERT INTO items VALUES (99, 'x') RETURNING id $$; "
                        "CREATE OR REPLACE FUNCTION unlock() RETURNS text LANGUAGE sql AS "
                        "$$ SELECT set_config('default_transaction_read_only', 'off', false) $$")
                  .ok());
  EXPECT_EQ(ReasonOf("SELECT sneak()"), "STATEMENT_NOT_READ_ONLY");
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(Query(Asking("SELECT unlock()")).ok());
    EXPECT_EQ(ReasonOf("SELECT sneak()"), "STATEMENT_NOT_READ_ONLY");
  }
  EXPECT_EQ(*server_->Sql("SELECT count(*) FROM items"), "3");
}

TEST_F(QueryEngineTest, OneStatementACall) {
  EXPECT_EQ(ReasonOf("SELECT 1; SELECT 2"), "MULTIPLE_STATEMENTS");
  EXPECT_EQ(ReasonOf("SELECT 1; DROP TABLE items"), "MULTIPLE_STATEMENTS");
  EXPECT_EQ(ReasonOf("SELECT 1;").substr(0, 8), "answered");
  EXPECT_EQ(ReasonOf("SELECT ';--'").substr(0, 8), "answered");
  EXPECT_EQ(ReasonOf("-- nothing"), "STATEMENT_INVALID");
  EXPECT_EQ(ReasonOf("SELEC 1"), "STATEMENT_INVALID");
  EXPECT_EQ(ReasonOf("SELECT * FROM nowhere"), "STATEMENT_INVALID");
  EXPECT_EQ(ReasonOf("SELECT $1::int"), "STATEMENT_INVALID");  // no parameter given
  EXPECT_EQ(ReasonOf(std::string("SELECT 1\0, 2", 12)), "STATEMENT_INVALID");
  EXPECT_EQ(ReasonOf("SELECT " + std::string(30000, '(') + "1" + std::string(30000, ')')),
            "STATEMENT_INVALID");
  // The connection is as good as before.
  EXPECT_TRUE(Query(Asking("SELECT 1")).ok());
}

TEST_F(QueryEngineTest, FieldsBeyondTheirBoundsAreRefused) {
  EXPECT_EQ(ReasonOf(""), "INVALID_FIELD");
  EXPECT_EQ(ReasonOf("SELECT '" + std::string(65536, 'x') + "'"), "INVALID_FIELD");
  v1::QueryRequest request = Asking("SELECT 1");
  request.set_max_rows_count(10001);
  EXPECT_EQ(ReasonOf(request), "INVALID_FIELD");
  request = Asking("SELECT 1");
  request.set_cache_ttl_ms(-1);
  EXPECT_EQ(ReasonOf(request), "INVALID_FIELD");
  request = Asking("SELECT 1");
  for (int i = 0; i < 101; ++i) request.add_parameters()->set_bool_value(true);
  EXPECT_EQ(ReasonOf(request), "INVALID_FIELD");
  request = Asking("SELECT length($1 || $2)");
  request.add_parameters()->set_string_value(std::string(1 << 19, 'x'));
  request.add_parameters()->set_string_value(std::string(1 << 19, 'x'));
  EXPECT_EQ(ReasonOf(request).substr(0, 8), "answered");
  request.mutable_parameters(1)->mutable_string_value()->push_back('x');
  EXPECT_EQ(ReasonOf(request), "INVALID_FIELD");
  request = Asking("SELECT $1::text");
  request.add_parameters()->mutable_list_value();
  EXPECT_EQ(ReasonOf(request), "INVALID_FIELD");
  request.mutable_parameters(0)->set_string_value(std::string("a\0b", 3));
  EXPECT_EQ(ReasonOf(request), "INVALID_FIELD");
  request = Asking("SELECT $1::int");
  request.add_parameters()->set_string_value("seven");
  EXPECT_EQ(ReasonOf(request), "STATEMENT_INVALID");
  request.add_parameters()->set_string_value("one too many");
  EXPECT_EQ(ReasonOf(request), "STATEMENT_INVALID");
}

// What a parameter says stays a value, in a pattern too.
TEST_F(QueryEngineTest, NothingInAParameterBecomesSql) {
  v1::QueryRequest request = Asking("SELECT count(*) FROM items WHERE name LIKE $1 OR name ~ $2");
  request.add_parameters()->set_string_value("%' OR true; DROP TABLE items; --");
  request.add_parameters()->set_string_value("^'; DELETE FROM items; --$");
  auto answer = Query(request);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->rows(0).values(0).number_value(), 0);
  request.mutable_parameters(0)->set_string_value("two\\'%");
  EXPECT_EQ(Query(request)->rows(0).values(0).number_value(), 1);
  request.mutable_parameters(1)->set_string_value("(");  // no regular expression
  EXPECT_EQ(ReasonOf(request), "STATEMENT_INVALID");
  EXPECT_EQ(*server_->Sql("SELECT count(*) FROM items"), "3");
}

TEST_F(QueryEngineTest, AnOutageIsSaidInTimeAndIsOverByItself) {
  ASSERT_TRUE(Query(Asking("SELECT 1")).ok());
  server_->Kill();
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 10; ++i) {
    const std::string reason = ReasonOf("SELECT 1");
    EXPECT_TRUE(reason == "POSTGRES_UNREACHABLE" || reason == "POSTGRES_CIRCUIT_OPEN") << reason;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
  const absl::Status restarted = server_->Restart();
  ASSERT_TRUE(restarted.ok()) << restarted;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(15);
  absl::StatusOr<v1::QueryResponse> answer = Query(Asking("SELECT 1"));
  while (!answer.ok() && std::chrono::steady_clock::now() < deadline) {
    EXPECT_EQ(answer.status().code(), absl::StatusCode::kUnavailable) << answer.status();
    answer = Query(Asking("SELECT 1"));
  }
  EXPECT_TRUE(answer.ok()) << answer.status();
}

TEST_F(QueryEngineTest, RowsAreBounded) {
  v1::QueryRequest request = Asking("SELECT generate_series(1, 5)");
  request.set_max_rows_count(4);
  auto answer = Query(request);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->rows_size(), 4);
  EXPECT_TRUE(answer->truncated());
  request.set_max_rows_count(5);
  answer = Query(request);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->rows_size(), 5);
  EXPECT_FALSE(answer->truncated());
  answer = Query(Asking("SELECT generate_series(1, 2000)"));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->rows_size(), 1000);
  EXPECT_EQ(ReasonOf("SELECT repeat('x', 100000) FROM generate_series(1, 100)"),
            "POSTGRES_RESULT_TOO_LARGE");
}

TEST_F(QueryEngineTest, TheUsersRightsCount) {
  ASSERT_TRUE(server_->Sql("CREATE ROLE reader LOGIN").ok());
  postgres::Pool pool({.primary_url = "postgresql://reader@127.0.0.1:" +
                                      std::to_string(server_->port()) + "/postgres"},
                      clock_);
  pool.Start();
  QueryEngine engine(pool, clock_);
  std::promise<absl::Status> promise;
  scope_.Spawn([&]() -> Async<void> {
    v1::QueryResponse response;
    promise.set_value(
        co_await engine.Query(Asking("SELECT * FROM items"), {.holder = "test"}, &response));
  });
  const absl::Status status = promise.get_future().get();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(status::Reason(status), "DATABASE_PERMISSION_DENIED");
}

TEST(CheckedStatementTest, FindsTheTables) {
  const CheckedStatement checked = CheckStatement(
      "WITH w AS (SELECT * FROM a.b) SELECT * FROM w JOIN \"Odd\" o ON true WHERE EXISTS "
      "(SELECT 1 FROM c UNION SELECT 2 FROM c) ORDER BY (SELECT max(x) FROM d)");
  ASSERT_TRUE(checked.status.ok()) << checked.status;
  EXPECT_EQ(checked.tables,
            (std::vector<TableName>{{"", "Odd"}, {"", "c"}, {"", "d"}, {"", "w"}, {"a", "b"}}));
}

TEST(CheckedStatementTest, TableNames) {
  TableName name;
  ASSERT_TRUE(ParseTableName("Public.Orders", &name));
  EXPECT_EQ(name, (TableName{"public", "orders"}));
  ASSERT_TRUE(ParseTableName("\"My.Schema\".\"a\"\"b\"", &name));
  EXPECT_EQ(name, (TableName{"My.Schema", "a\"b"}));
  ASSERT_TRUE(ParseTableName("orders", &name));
  EXPECT_EQ(name, (TableName{"", "orders"}));
  for (const char* bad : {"", ".", "a.", ".b", "a.b.c", "\"a"}) {
    EXPECT_FALSE(ParseTableName(bad, &name)) << bad;
  }
  EXPECT_FALSE(ParseTableName(std::string(64, 'x'), &name));
}

TEST(StatementCacheTest, IsBoundedAndKeepsTheLatest) {
  StatementCache cache(3, 1000);
  const auto first = cache.Get("SELECT 1");
  for (int i = 2; i <= 3; ++i) cache.Get("SELECT " + std::to_string(i));
  EXPECT_EQ(cache.Get("SELECT 1"), first);
  cache.Get("SELECT 4");
  EXPECT_EQ(cache.count(), 3u);
  EXPECT_EQ(cache.Get("SELECT 1"), first);
  cache.Get("SELECT '" + std::string(990, 'x') + "'");
  EXPECT_LE(cache.count(), 2u);
}

}  // namespace
}  // namespace slipstream::database_optimizer
