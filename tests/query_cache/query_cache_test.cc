// Results of Query in a real cache service, and a real PostgreSQL under them: served again, and not
// after a write.
#include <future>
#include <memory>

#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/async/scope.h"
#include "libs/clock/clock.h"
#include "libs/random/random.h"
#include "libs/status/status.h"
#include "services/database_optimizer/query/query_engine.h"
#include "tests/harness/cache_server.h"
#include "tests/harness/postgres_server.h"

namespace slipstream::database_optimizer {
namespace {

using testing_harness::CacheServer;

v1::QueryRequest Cached(const std::string& statement) {
  v1::QueryRequest request;
  request.set_statement(statement);
  request.set_cache_ttl_ms(600'000);
  return request;
}

class QueryCacheTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto server = tests::PostgresServer::Start();
    ASSERT_TRUE(server.ok()) << server.status();
    postgres_ = server->release();
  }
  static void TearDownTestSuite() {
    delete postgres_;
    postgres_ = nullptr;
  }
  void SetUp() override {
    pool_.Start();
    engine_.UseCache(&cache_);
    Sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
        "CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1);"
        "CREATE TABLE other (id int); CREATE VIEW seen AS SELECT * FROM items;"
        "CREATE TABLE parts (id int) PARTITION BY RANGE (id);"
        "CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (100);"
        "CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (100) TO (200);"
        "CREATE TABLE child (id int REFERENCES items ON DELETE CASCADE);"
        "INSERT INTO child VALUES (1)");
  }

  static void Sql(const std::string& sql) {
    const auto done = postgres_->Sql(sql);
    ASSERT_TRUE(done.ok()) << done.status();
  }
  template <class T>
  T Await(std::function<Async<T>()> coroutine) {
    std::promise<T> promise;
    scope_.Spawn([&]() -> Async<void> { promise.set_value(co_await coroutine()); });
    return promise.get_future().get();
  }
  absl::StatusOr<v1::QueryResponse> Query(const v1::QueryRequest& request) {
    return Await<absl::StatusOr<v1::QueryResponse>>(
        [&]() -> Async<absl::StatusOr<v1::QueryResponse>> {
          v1::QueryResponse response;
          absl::Status status = co_await engine_.Query(request, {.holder = "test"}, &response);
          if (!status.ok()) co_return status;
          co_return response;
        });
  }
  // "value" or "value cached", or the error.
  std::string Answer(const std::string& statement) {
    auto answer = Query(Cached(statement));
    if (!answer.ok()) return answer.status().ToString();
    return std::to_string(static_cast<int>(answer->rows(0).values(0).number_value())) +
           (answer->from_cache() ? " cached" : "");
  }
  absl::Status Invalidate(const std::string& table) {
    return Await<absl::Status>([&]() -> Async<absl::Status> {
      v1::InvalidateTablesRequest request;
      request.add_tables(table);
      auto count = co_await engine_.InvalidateTables(request, {.holder = "test"});
      co_return count.status();
    });
  }
  absl::Status Write(const std::string& sql, const std::string& table) {
    return Await<absl::Status>([&]() -> Async<absl::Status> {
      auto result = co_await engine_.Write({.sql = std::make_shared<const std::string>(sql)},
                                           {{"", table}}, {.holder = "test"});
      co_return result.status();
    });
  }

  inline static tests::PostgresServer* postgres_ = nullptr;
  clock::SystemClock clock_;
  random::SystemRandom random_;
  CacheServer server_{clock_};
  async::Runtime runtime_{2};
  async::Scope scope_{runtime_.executor()};
  cache_client::CacheClient client_{server_.channel()};
  postgres::Pool pool_{{.primary_url = postgres_->url(), .max_connections_count = 5}, clock_};
  QueryResultCache cache_{{client_, scope_, clock_, random_,
                           [] { return CacheServer::As("database_optimizer", "service"); }}};
  QueryEngine engine_{pool_, clock_};
};

TEST_F(QueryCacheTest, TheSecondAnswerIsTheCaches) {
  EXPECT_EQ(Answer("SELECT count(*) FROM items"), "1");
  EXPECT_EQ(Answer("SELECT count(*) FROM items"), "1 cached");
  auto answer = Query(Cached("SELECT count(*) FROM items"));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->duration_ms(), 0);
  EXPECT_EQ(answer->columns(0).type(), "int8");
  // Whatever the answer depends on is part of the key.
  v1::QueryRequest request = Cached("SELECT $1::int");
  request.add_parameters()->set_number_value(1);
  ASSERT_FALSE(Query(request)->from_cache());
  request.mutable_parameters(0)->set_number_value(2);
  answer = Query(request);
  EXPECT_FALSE(answer->from_cache());
  EXPECT_EQ(answer->rows(0).values(0).number_value(), 2);
  request.set_max_rows_count(5);
  EXPECT_FALSE(Query(request)->from_cache());
  request.set_cache_ttl_ms(0);
  EXPECT_FALSE(Query(request)->from_cache());
}

TEST_F(QueryCacheTest, AWriteThroughThePoolDropsWhatReadsItsTable) {
  EXPECT_EQ(Answer("SELECT count(*) FROM items"), "1");
  EXPECT_EQ(Answer("SELECT count(*) FROM other"), "0");
  ASSERT_TRUE(Write("INSERT INTO items VALUES (2)", "items").ok());
  EXPECT_EQ(Answer("SELECT count(*) FROM items"), "2");
  EXPECT_EQ(Answer("SELECT count(*) FROM other"), "0 cached");
  // A refused one changes nothing.
  EXPECT_FALSE(Write("INSERT INTO items VALUES (2)", "items").ok());
  EXPECT_EQ(Answer("SELECT count(*) FROM items"), "2 cached");
}

TEST_F(QueryCacheTest, InvalidateTablesDropsWithAndWithoutSchema) {
  for (const char* name : {"items", "public.items", "PUBLIC.Items", "\"items\""}) {
    Answer("SELECT count(*) FROM public.items");
    EXPECT_EQ(Answer("SELECT count(*) FROM public.items"), "1 cached");
    ASSERT_TRUE(Invalidate(name).ok());
    EXPECT_EQ(Answer("SELECT count(*) FROM public.items"), "1") << name;
  }
  EXPECT_EQ(status::Reason(Invalidate("a.b.c")), "INVALID_FIELD");
}

TEST_F(QueryCacheTest, NothingInANameBecomesSql) {
  EXPECT_EQ(Answer("SELECT count(*) FROM items"), "1");
  EXPECT_EQ(status::Reason(Invalidate("public.items.x")), "INVALID_FIELD");
  for (const char* name : {"items'; DROP TABLE items; --", "\"items'; DROP TABLE items; --\"",
                           "\"it\"\"ems\".\"'||(SELECT 1)||'\"", "items\\'", "%", "*", "item_"}) {
    const absl::Status told = Invalidate(name);
    EXPECT_TRUE(told.ok() || status::Reason(told) == "INVALID_FIELD") << name << ": " << told;
  }
  EXPECT_EQ(*postgres_->Sql("SELECT count(*) FROM items"), "1");
  // No pattern either: what is not named stays.
  EXPECT_EQ(Answer("SELECT count(*) FROM items"), "1 cached");
}

TEST_F(QueryCacheTest, ViewsPartsAndKeysAreSeenThrough) {
  struct Case {
    const char* statement;
    const char* written;
    bool dropped;
  };
  for (const Case& c : {Case{"SELECT count(*) FROM seen", "items", true},
                        Case{"SELECT count(*) FROM parts", "parts_low", true},
                        Case{"SELECT count(*) FROM parts_low", "parts", true},
                        Case{"SELECT count(*) FROM parts_low", "parts_high", false},
                        Case{"SELECT count(*) FROM child", "items", true},
                        Case{"SELECT count(*) FROM items", "child", false}}) {
    const std::string first = Answer(c.statement);
    const std::string value = first.substr(0, first.find(' '));
    ASSERT_EQ(Answer(c.statement), value + " cached");
    ASSERT_TRUE(Invalidate(c.written).ok());
    EXPECT_EQ(Answer(c.statement), c.dropped ? value : value + " cached")
        << c.statement << " after " << c.written;
  }
}

TEST_F(QueryCacheTest, MoreTablesThanAnEntryHasTags) {
  std::string statement = "SELECT count(*) FROM items";
  for (int i = 0; i < 20; ++i) {
    Sql("CREATE TABLE many" + std::to_string(i) + " (x int)");
    statement += ", many" + std::to_string(i);
  }
  EXPECT_EQ(Answer(statement), "0");
  EXPECT_EQ(Answer(statement), "0 cached");
  ASSERT_TRUE(Invalidate("many19").ok());
  EXPECT_EQ(Answer(statement), "0");
}

// A result that was read before a write, and would be stored after it, is not.
TEST_F(QueryCacheTest, AWriteMeanwhileIsNotOvertaken) {
  const std::string slow = "SELECT count(*) FROM items, pg_sleep(1)";
  std::promise<std::string> promise;
  std::thread reading([&] { promise.set_value(Answer(slow)); });
  while (*postgres_->Sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE "
                         "'%FROM items, pg_sleep(1)' AND state = 'active'") != "1") {
  }
  ASSERT_TRUE(Write("INSERT INTO items VALUES (2)", "items").ok());
  EXPECT_EQ(promise.get_future().get(), "1");
  reading.join();
  EXPECT_EQ(Answer(slow), "2");
}

TEST_F(QueryCacheTest, WithoutTheCacheServiceQueriesAnswerAndInvalidationsSay) {
  EXPECT_EQ(Answer("SELECT count(*) FROM items"), "1");
  server_.Shutdown();
  EXPECT_EQ(Answer("SELECT count(*) FROM items"), "1");
  EXPECT_EQ(Answer("SELECT count(*) FROM items"), "1");
  EXPECT_EQ(Invalidate("items").code(), absl::StatusCode::kUnavailable);
}

TEST_F(QueryCacheTest, ErrorsAreNotKept) {
  EXPECT_NE(Answer("SELECT count(*) FROM later").find("does not exist"), std::string::npos);
  Sql("CREATE TABLE later (x int)");
  EXPECT_EQ(Answer("SELECT count(*) FROM later"), "0");
}

}  // namespace
}  // namespace slipstream::database_optimizer
