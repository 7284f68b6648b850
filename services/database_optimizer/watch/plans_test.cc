// Plans of a real PostgreSQL: captured from what others run, and explained for an administrator.
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/async/scope.h"
#include "libs/postgres/client.h"
#include "libs/status/status.h"
#include "services/database_optimizer/watch/plan_capture.h"
#include "services/database_optimizer/watch/plan_text.h"
#include "services/database_optimizer/watch/postgres_query_explainer.h"
#include "services/database_optimizer/watch/statement_parse.h"
#include "tests/harness/postgres_server.h"

namespace slipstream::database_optimizer {
namespace {

bool Any(const std::vector<std::string>& texts, const std::string& part) {
  for (const auto& text : texts) {
    if (absl::StrContains(text, part)) return true;
  }
  return false;
}

// --- without a server

TEST(PlanText, ConstantsGoAndNamesStay) {
  const std::string plan = RedactPlan(R"json([{"Plan": {"Node Type": "Seq Scan",
      "Relation Name": "my-table 2024", "Alias": "t", "Total Cost": 12.5,
      "Filter": "((name = 'secret'::text) AND (id > 42))", "Output": ["id", "'x'::text"]}}])json");
  EXPECT_FALSE(absl::StrContains(plan, "secret")) << plan;
  EXPECT_FALSE(absl::StrContains(plan, "42")) << plan;
  EXPECT_FALSE(absl::StrContains(plan, "'x'")) << plan;
  EXPECT_TRUE(absl::StrContains(plan, "my-table 2024")) << plan;
  EXPECT_TRUE(absl::StrContains(plan, "12.5")) << plan;
  EXPECT_EQ(RedactPlan("no plan"), "");
}

TEST(PlanText, FindingsNameTheirObjectAndFigure) {
  const auto findings = PlanFindings(R"json([{"Execution Time": 100, "Planning Time": 1,
      "JIT": {"Timing": {"Total": 60}},
      "Plan": {"Node Type": "Sort", "Sort Space Type": "Disk", "Sort Space Used": 2048,
        "Plan Rows": 500, "Actual Rows": 500, "Actual Loops": 1, "Shared Read Blocks": 20000,
        "Plans": [{"Node Type": "Nested Loop", "Plan Rows": 500, "Actual Rows": 500,
          "Actual Loops": 1, "Plans": [
            {"Node Type": "Index Scan", "Index Name": "ix", "Relation Name": "a", "Plan Rows": 10,
             "Actual Rows": 5000, "Actual Loops": 1},
            {"Node Type": "Seq Scan", "Relation Name": "b", "Plan Rows": 100, "Actual Rows": 1,
             "Rows Removed by Filter": 99, "Actual Loops": 5000}]}]}}])json");
  EXPECT_TRUE(Any(findings, "JIT")) << testing::PrintToString(findings);
  EXPECT_TRUE(Any(findings, "sort went to disk with 2048 kB"));
  EXPECT_TRUE(Any(findings, "20000 blocks"));
  EXPECT_TRUE(Any(findings, "Index Scan using ix on a: 10 rows were estimated and 5000 came"));
  EXPECT_TRUE(
      Any(findings, "sequential scan of b: it reads 500000 rows and its filter throws 495000"));
  EXPECT_TRUE(Any(findings, "a nested loop reads the whole of b 5000 times"));
  EXPECT_TRUE(PlanFindings("{").empty());
}

// --- with one

class Plans : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto server = tests::PostgresServer::Start();
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = server->release();
    auto connection = Open();
    for (const char* sql :
         {"CREATE TABLE orders (id int PRIMARY KEY, customer int, note text)",
          "INSERT INTO orders SELECT i, i % 100, 'note ' || i FROM generate_series(1, 60000) i",
          "CREATE TABLE skewed (a int, b int)",
          "INSERT INTO skewed SELECT i % 200, i % 200 FROM generate_series(1, 40000) i", "ANALYZE",
          "CREATE SEQUENCE numbers",
          "CREATE FUNCTION writes() RETURNS bigint LANGUAGE sql AS "
          "'DELETE FROM orders; SELECT nextval(''numbers'')'",
          "CREATE FUNCTION locks() RETURNS text LANGUAGE sql AS "
          "'SELECT pg_advisory_lock(4711); SELECT set_config(''work_mem'', ''64kB'', false)'"}) {
      const auto done = connection->Query(sql);
      ASSERT_TRUE(done.ok()) << sql << done.status();
    }
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }
  static std::unique_ptr<postgres::Connection> Open() {
    auto connection = postgres::Connection::Open({.url = server_->url()});
    EXPECT_TRUE(connection.ok()) << connection.status();
    return *std::move(connection);
  }
  static postgres::ClientOptions ClientOptions() {
    postgres::ClientOptions options;
    options.connection.url = server_->url();
    options.connection.read_only = true;
    options.threads_count = 1;
    return options;
  }

  absl::StatusOr<v1::ExplainQueryResponse> Explain(
      const std::string& statement, bool analyze = true, int timeout_ms = 0,
      const std::vector<google::protobuf::Value>& parameters = {}) {
    v1::ExplainQueryRequest request;
    request.set_statement(statement);
    request.set_analyze(analyze);
    request.set_timeout_ms(timeout_ms);
    for (const auto& parameter : parameters) *request.add_parameters() = parameter;
    std::promise<absl::StatusOr<v1::ExplainQueryResponse>> promise;
    scope_.Spawn([&]() -> Async<void> {
      promise.set_value(co_await explainer_.Explain(request, absl::Seconds(30)));
    });
    return promise.get_future().get();
  }
  std::string ReasonOf(const std::string& statement) {
    return status::Reason(Explain(statement).status());
  }
  static int64_t Count(const std::string& sql) {
    auto rows = Open()->Query(sql);
    EXPECT_TRUE(rows.ok()) << rows.status();
    return std::stoll(*rows->front()[0]);
  }

  inline static tests::PostgresServer* server_ = nullptr;
  postgres::Client client_{ClientOptions()};
  PostgresQueryExplainer explainer_{client_};
  async::Runtime runtime_{1};
  async::Scope scope_{runtime_.executor()};
};

TEST_F(Plans, CapturedWithoutConstantsAndWithoutRunning) {
  auto connection = Open();
  const CapturedPlan plan = CapturePlan(
      *connection, "SELECT count(*), pg_sleep(5) FROM orders WHERE note = 'secret'", false);
  EXPECT_EQ(plan.missing, "");
  EXPECT_TRUE(absl::StrContains(plan.plan_json, "Seq Scan")) << plan.plan_json;
  EXPECT_TRUE(absl::StrContains(plan.plan_json, "orders"));
  EXPECT_FALSE(absl::StrContains(plan.plan_json, "secret"));
  // A write is planned and not run.
  EXPECT_EQ(CapturePlan(*connection, "DELETE FROM orders", false).missing, "");
  EXPECT_EQ(Count("SELECT count(*) FROM orders"), 60000);
}

TEST_F(Plans, AStatementWithParametersGetsItsGenericPlan) {
  auto connection = Open();
  for (int i = 0; i < 2; ++i) {  // nothing is left behind that the second would meet
    const CapturedPlan plan =
        CapturePlan(*connection, "SELECT * FROM orders WHERE id = $1 AND note = $2", false);
    EXPECT_EQ(plan.missing, "");
    EXPECT_TRUE(absl::StrContains(plan.plan_json, "orders_pkey")) << plan.plan_json;
  }
}

TEST_F(Plans, WhyThereIsNone) {
  auto connection = Open();
  EXPECT_TRUE(absl::StrContains(CapturePlan(*connection, "SELECT 1", true).missing,
                                "track_activity_query_size"));
  EXPECT_TRUE(absl::StrContains(CapturePlan(*connection, "SELECT 1; SELECT 2", false).missing,
                                "exactly one statement"));
  EXPECT_TRUE(absl::StrContains(CapturePlan(*connection, "SELECT * FROM gone", false).missing,
                                "does not exist"));
  EXPECT_TRUE(
      absl::StrContains(CapturePlan(*connection, "VACUUM orders", false).missing, "no plan"));
  EXPECT_EQ(CapturePlan(*connection, "SELECT 1", false).missing, "") << "the connection is usable";
}

TEST_F(Plans, ACaptureDoesNotQueueBehindALock) {
  auto holder = Open();
  ASSERT_TRUE(holder->Query("BEGIN").ok());
  ASSERT_TRUE(holder->Query("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").ok());
  auto connection = Open();
  const absl::Time begin = absl::Now();
  EXPECT_NE(CapturePlan(*connection, "SELECT * FROM orders", false).missing, "");
  EXPECT_LT(absl::Now() - begin, absl::Seconds(1));
}

TEST_F(Plans, ExplainMeasuresAndFinds) {
  auto plan = Explain("SELECT * FROM orders WHERE note = 'note 7'");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_GT(plan->execution_ms(), 0);
  EXPECT_GT(plan->planning_ms(), 0);
  const auto json = nlohmann::json::parse(plan->plan_json());
  EXPECT_EQ(json[0]["Plan"]["Actual Rows"], 1);
  EXPECT_TRUE(json[0]["Plan"].contains("Shared Hit Blocks"));
  const std::vector<std::string> findings(plan->findings().begin(), plan->findings().end());
  EXPECT_TRUE(Any(findings,
                  "sequential scan of orders: it reads 60000 rows and its filter throws "
                  "59999"))
      << testing::PrintToString(findings);
}

TEST_F(Plans, ExplainFindsMisestimatesAndSpills) {
  auto plan = Explain("SELECT * FROM skewed WHERE a = 1 AND b = 1");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_TRUE(Any({plan->findings().begin(), plan->findings().end()},
                  "Seq Scan on skewed: 1 rows were estimated and 200 came"))
      << plan->ShortDebugString();
  plan =
      Explain("SELECT a.* FROM orders a, generate_series(1, 3) ORDER BY a.note || generate_series");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_TRUE(Any({plan->findings().begin(), plan->findings().end()}, "a sort went to disk"))
      << plan->ShortDebugString();
  plan = Explain("SELECT id FROM orders WHERE id = 7");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->findings_size(), 0) << plan->ShortDebugString();
}

TEST_F(Plans, WithoutAnalyzeNothingRuns) {
  const absl::Time begin = absl::Now();
  auto plan = Explain("SELECT pg_sleep(20) FROM orders", false);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_LT(absl::Now() - begin, absl::Seconds(10));
  EXPECT_EQ(plan->execution_ms(), 0);
}

TEST_F(Plans, ParametersAreValuesNeverText) {
  std::vector<google::protobuf::Value> parameters(2);
  parameters[0].set_number_value(7);
  parameters[1].set_string_value("note 7'; DROP TABLE orders; --");
  auto plan = Explain("SELECT * FROM orders WHERE id = $1 AND note <> $2", true, 0, parameters);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(nlohmann::json::parse(plan->plan_json())[0]["Plan"]["Actual Rows"], 1);
  EXPECT_EQ(Count("SELECT count(*) FROM orders"), 60000);
  EXPECT_EQ(status::FieldViolations(Explain("SELECT $1::int").status())[0].field, "parameters");
  parameters.resize(1);
  parameters[0].mutable_list_value();
  EXPECT_EQ(
      status::FieldViolations(Explain("SELECT $1::text", true, 0, parameters).status())[0].field,
      "parameters[0]");
}

TEST_F(Plans, WritesAreRefusedWithTheReason) {
  for (const char* sql :
       {"DELETE FROM orders", "UPDATE orders SET note = ''", "INSERT INTO skewed VALUES (1, 1)",
        "WITH gone AS (DELETE FROM orders RETURNING *) SELECT count(*) FROM gone",
        "SELECT * INTO copied FROM orders", "SELECT * FROM orders FOR UPDATE", "DROP TABLE orders",
        "VACUUM", "COPY orders TO PROGRAM 'true'", "EXPLAIN ANALYZE DELETE FROM orders", "COMMIT",
        // Its text only reads; the server knows better.
        "SELECT writes()"}) {
    EXPECT_EQ(ReasonOf(sql), kWriteRefused) << sql;
    EXPECT_EQ(Explain(sql).status().code(), absl::StatusCode::kInvalidArgument) << sql;
  }
  EXPECT_EQ(status::Reason(Explain("DELETE FROM orders", false).status()), kWriteRefused);
  EXPECT_EQ(ReasonOf("SELECT nextval('numbers')"), "FUNCTION_NOT_ALLOWED");
  EXPECT_EQ(ReasonOf("SELECT pg_terminate_backend(1)"), "FUNCTION_NOT_ALLOWED");
  EXPECT_EQ(ReasonOf("SELECT 1; DROP TABLE orders"), kNotOneStatement);
  EXPECT_EQ(ReasonOf("SELECT 'a\\'; DROP TABLE orders; --'"), kNotOneStatement);
  EXPECT_EQ(ReasonOf("SELECT FROM WHERE"), kNotParsed);
  EXPECT_EQ(ReasonOf("SELECT * FROM gone"), postgres::kStatementRefused);
  EXPECT_EQ(ReasonOf(""), status::kInvalidField);
  EXPECT_EQ(ReasonOf("SELECT '" + std::string(65536, 'x') + "'"), status::kInvalidField);
  EXPECT_EQ(Count("SELECT count(*) FROM orders"), 60000);
  EXPECT_EQ(Count("SELECT last_value FROM numbers"), 1);
}

TEST_F(Plans, ATimeoutEndsIt) {
  const absl::Time begin = absl::Now();
  const absl::Status status = Explain("SELECT pg_sleep(20)", true, 200).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  EXPECT_EQ(status::Reason(status), postgres::kStatementTimeout);
  EXPECT_LT(absl::Now() - begin, absl::Seconds(10));
  EXPECT_EQ(status::FieldViolations(Explain("SELECT 1", true, 60001).status())[0].field,
            "timeout_ms");
}

TEST_F(Plans, NothingOfItStaysInTheSession) {
  ASSERT_TRUE(Explain("SELECT locks()").ok());
  EXPECT_EQ(Count("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0);
  // The same connection: the setting was rolled back, and it is still read-only.
  auto plan = Explain(
      "SELECT 1 / (current_setting('work_mem') <> '64kB')::int, "
      "1 / (current_setting('transaction_read_only') = 'on')::int");
  EXPECT_TRUE(plan.ok()) << plan.status();
}

}  // namespace
}  // namespace slipstream::database_optimizer
