// Against a real PostgreSQL with pg_stat_statements and HypoPG.
#include "services/database_optimizer/whatif/index_advisor.h"

#include <algorithm>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/status/status.h"
#include "services/database_optimizer/whatif/catalog_reader.h"
#include "services/database_optimizer/whatif/health_checks.h"
#include "services/database_optimizer/whatif/index_size.h"
#include "services/database_optimizer/whatif/parameter_sampler.h"
#include "tests/harness/postgres_server.h"

namespace slipstream::database_optimizer {
namespace {

using testing::HasSubstr;

class IndexAdvisorTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto server = tests::PostgresServer::Start(
        {.settings = {"shared_preload_libraries=pg_stat_statements", "autovacuum=off"}});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = server->release();
    auto connection = postgres::Connection::Open({.url = server_->url()});
    ASSERT_TRUE(connection.ok()) << connection.status();
    connection_ = connection->release();
    Run("CREATE EXTENSION pg_stat_statements");
    Run("CREATE EXTENSION hypopg");
    Run("CREATE TABLE orders (id int PRIMARY KEY, customer_id int, state text, placed_at date, "
        "total numeric, done boolean, note text)");
    Run("INSERT INTO orders SELECT i, i % 5000, (ARRAY['open','paid','sent','late'])[1 + i % 4], "
        "date '2020-01-01' + i % 1000, i % 977, i % 50 <> 0, repeat('x', 60) "
        "FROM generate_series(1, 50000) i");
    Run("CREATE SCHEMA shop");
    Run("CREATE TABLE shop.\"It\"\"ems\" (order_id int, sku int, city text, zip text)");
    Run("INSERT INTO shop.\"It\"\"ems\" SELECT i % 50000, i, 'c' || i % 40, 'z' || (i % 40) * 10 "
        "FROM generate_series(1, 60000) i");
    Run("ANALYZE");
  }
  static void TearDownTestSuite() {
    delete connection_;
    delete server_;
  }
  void SetUp() override { Run("SELECT pg_stat_statements_reset()"); }

  static void Run(const std::string& sql) {
    const auto rows = connection_->Query(sql);
    ASSERT_TRUE(rows.ok()) << sql << ": " << rows.status();
  }
  static void Run(const std::string& sql, int times) {
    for (int i = 0; i < times; ++i) Run(sql);
  }
  Advice Advise(AdvisorOptions options = {.budget_bytes = int64_t{1} << 30}) {
    auto advice = AdviseIndexes(*connection_, clock_, options);
    EXPECT_TRUE(advice.ok()) << advice.status();
    return advice.ok() ? *std::move(advice) : Advice();
  }
  static const v1::Recommendation* Find(const Advice& advice, const std::string& text) {
    for (const auto& proposal : advice.proposals) {
      for (const auto& sql : proposal.recommendation.apply_statements()) {
        if (absl::StrContains(sql, text)) return &proposal.recommendation;
      }
    }
    return nullptr;
  }

  static tests::PostgresServer* server_;
  static postgres::Connection* connection_;
  clock::SystemClock clock_;
};

tests::PostgresServer* IndexAdvisorTest::server_ = nullptr;
postgres::Connection* IndexAdvisorTest::connection_ = nullptr;

TEST_F(IndexAdvisorTest, OneStatementGetsItsIndexWithEvidence) {
  Run("SELECT sum(total) FROM orders WHERE customer_id = 42", 5);
  const Advice advice = Advise();
  ASSERT_EQ(advice.proposals.size(), 1u);
  const auto& proposal = advice.proposals[0];
  const auto& r = proposal.recommendation;
  EXPECT_EQ(r.kind(), v1::Recommendation::CREATE_INDEX);
  EXPECT_EQ(r.table(), "public.orders");
  EXPECT_THAT(r.apply_statements(0),
              HasSubstr("CREATE INDEX CONCURRENTLY \"slipstream_ix_orders_"));
  EXPECT_THAT(r.apply_statements(0), HasSubstr("(\"customer_id\""));
  EXPECT_GT(proposal.gain_percent, 50);
  EXPECT_LT(r.evidence().cost_after(), r.evidence().cost_before() / 10);
  EXPECT_GT(r.evidence().size_bytes(), 100000);
  ASSERT_EQ(r.evidence().queries_size(), 1);
  const auto& query = r.evidence().queries(0);
  EXPECT_EQ(query.calls_count(), 5);
  EXPECT_THAT(query.statement(), HasSubstr("$1"));
  EXPECT_THAT(query.plan_before_json(), HasSubstr("Seq Scan"));
  EXPECT_THAT(query.plan_after_json(), HasSubstr("Index"));
  EXPECT_LT(query.cost_after(), query.cost_before());
  EXPECT_LT(advice.cost_after, advice.cost_before);
  // Nothing was built, and no hypothetical index is left behind.
  EXPECT_EQ(connection_->Query("SELECT 1 FROM pg_class WHERE relname LIKE 'slipstream%'")->size(),
            0u);
  EXPECT_EQ(connection_->Query("SELECT 1 FROM hypopg()")->size(), 0u);
}

TEST_F(IndexAdvisorTest, TheBudgetIsKept) {
  Run("SELECT sum(total) FROM orders WHERE customer_id = 42", 5);
  EXPECT_TRUE(Advise({.budget_bytes = 8192}).proposals.empty());
}

TEST_F(IndexAdvisorTest, WritesThatOutweighTheGainKeepAnIndexAway) {
  Run("SELECT sum(total) FROM orders WHERE customer_id = 42 AND placed_at = '2021-01-01'", 1);
  EXPECT_FALSE(Advise().proposals.empty());
  Run("BEGIN");
  Run("INSERT INTO orders SELECT 1000000 + i FROM generate_series(1, 20000) i");
  Run("ROLLBACK");
  const Advice advice = Advise();
  EXPECT_TRUE(advice.proposals.empty()) << advice.proposals[0].recommendation.DebugString();
}

TEST_F(IndexAdvisorTest, DatesIntervalsExtractAndQuotedNamesArePlanned) {
  Run("SELECT extract(year FROM placed_at), count(*) FROM orders WHERE placed_at >= date "
      "'2020-02-01' AND placed_at < date '2020-02-01' + interval '3' day AND note LIKE '%x%' "
      "GROUP BY 1 ORDER BY 1 LIMIT 5",
      3);
  Run("SELECT count(*) FROM shop.\"It\"\"ems\" i JOIN orders o ON o.id = i.order_id "
      "WHERE i.sku = 17",
      3);
  const Advice advice = Advise();
  EXPECT_TRUE(advice.gaps.empty()) << advice.gaps[0];
  EXPECT_NE(Find(advice, "(\"placed_at\""), nullptr);
  EXPECT_NE(Find(advice, "ON \"shop\".\"It\"\"ems\" USING btree (\"sku\""), nullptr);
}

TEST_F(IndexAdvisorTest, APartialIndexWhereItIsSmaller) {
  Run("SELECT id, placed_at FROM orders WHERE NOT done ORDER BY placed_at LIMIT 20", 20);
  const Advice advice = Advise({.budget_bytes = 64 * 1024});
  ASSERT_EQ(advice.proposals.size(), 1u);
  EXPECT_NE(Find(advice, "WHERE NOT \"done\""), nullptr)
      << advice.proposals[0].recommendation.apply_statements(0);
}

TEST_F(IndexAdvisorTest, SizesAreThoseOnDisk) {
  auto read = ReadCatalog(*connection_);
  ASSERT_TRUE(read.ok());
  const int place = read->Find("public", "orders");
  ASSERT_TRUE(ReadStatistics(*connection_, {place}, *read).ok());
  auto what_if = WhatIf::Begin(*connection_);
  ASSERT_TRUE(what_if.ok());
  // Many equal keys, few, a type whose equal keys are not kept once, several columns, others that
  // are carried, and a part of the rows.
  const std::vector<IndexDefinition> indexes = {
      {"public", "orders", {{"state"}}, {}, ""},
      {"public", "orders", {{"customer_id"}}, {}, ""},
      {"public", "orders", {{"id"}}, {}, ""},
      {"public", "orders", {{"total"}}, {}, ""},
      {"public", "orders", {{"customer_id"}, {"id"}}, {}, ""},
      {"public", "orders", {{"done"}, {"state"}}, {}, ""},
      {"public", "orders", {{"state"}, {"total"}}, {}, ""},
      {"public", "orders", {{"customer_id"}}, {"placed_at", "total"}, ""},
      {"public", "orders", {{"id"}}, {}, "\"done\""},
  };
  for (const IndexDefinition& index : indexes) {
    double rows_count = read->table(place).rows_count;
    if (!index.predicate.empty()) {
      auto rows = what_if->CountRows("\"public\".\"orders\"", index.predicate);
      ASSERT_TRUE(rows.ok()) << rows.status();
      rows_count = *rows;
    }
    const auto estimate = static_cast<double>(SizeOnDisk(index, read->table(place), rows_count));
    Run(absl::StrCat("CREATE INDEX sized ", index.Target()));
    const auto rows = connection_->Query("SELECT pg_relation_size('sized')");
    const double real = std::stod((*rows)[0][0].value_or("0"));
    Run("DROP INDEX sized");
    EXPECT_GT(estimate, 0.8 * real) << index.Target();
    EXPECT_LT(estimate, 1.2 * real) << index.Target();
  }
}

TEST_F(IndexAdvisorTest, WhatIsAddedToADateIsDays) {
  Run("SELECT id FROM orders WHERE state = 'open' AND placed_at >= date '2020-01-01' + 400 "
      "ORDER BY placed_at LIMIT 5",
      5);
  const Advice advice = Advise();
  EXPECT_TRUE(advice.gaps.empty()) << advice.gaps[0];
  EXPECT_NE(Find(advice, "\"placed_at\""), nullptr);
}

// No value of the column is an array, so no sample can be planned.
TEST_F(IndexAdvisorTest, WhatNoValueFitsIsPlannedGenerically) {
  Run("SELECT count(*) FROM orders WHERE placed_at < date '2020-02-01' + interval '3' day AND "
      "customer_id = ANY('{1,2}')",
      5);
  const Advice advice = Advise();
  EXPECT_TRUE(advice.gaps.empty()) << advice.gaps[0];
  EXPECT_NE(Find(advice, "(\"customer_id\""), nullptr);
}

TEST_F(IndexAdvisorTest, OnlyTheTablesAskedFor) {
  Run("SELECT sum(total) FROM orders WHERE customer_id = 42", 5);
  AdvisorOptions options;
  options.budget_bytes = int64_t{1} << 30;
  options.tables = {"shop.It\"ems"};
  EXPECT_TRUE(Advise(options).proposals.empty());
  options.tables = {"orders\"; DROP TABLE orders; --"};
  auto advice = AdviseIndexes(*connection_, clock_, options);
  ASSERT_EQ(status::FieldViolations(advice.status()).size(), 1u) << advice.status();
  EXPECT_EQ(connection_->Query("SELECT count(*) FROM orders")->size(), 1u);
}

TEST_F(IndexAdvisorTest, WhatElseIsWrong) {
  Run("CREATE INDEX orders_state ON orders (state)");
  Run("CREATE INDEX orders_state_2 ON orders (state, id)");
  Run("CREATE INDEX orders_state_3 ON orders (state)");
  Run("CREATE INDEX orders_total ON orders (total)");
  Run("CREATE UNIQUE INDEX orders_unique ON orders (id, state)");
  Run("CREATE INDEX orders_broken ON orders (note)");
  Run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_broken'::regclass");
  Run("CREATE TABLE fresh AS SELECT i FROM generate_series(1, 5000) i");
  Run("SELECT count(*) FROM orders", 120);
  Run("SELECT count(*) FROM shop.\"It\"\"ems\" WHERE city = 'c1' AND zip = 'z10'", 3);
  Run("SELECT count(*) FROM orders WHERE state = 'open' AND customer_id = 3", 3);
  Run("ANALYZE orders");
  Run("SELECT pg_sleep(1.2)");  // the statistics of scans are sent once a second
  Run("SELECT count(*) FROM orders");
  Advice advice = Advise();
  ASSERT_TRUE(CheckHealth(*connection_, {}, advice).ok());
  std::vector<std::string> found;
  for (const auto& p : advice.proposals) {
    const auto& r = p.recommendation;
    if (r.kind() == v1::Recommendation::CREATE_INDEX) continue;
    found.push_back(absl::StrCat(v1::Recommendation::Kind_Name(r.kind()), " ", p.object));
  }
  using testing::Contains;
  using testing::Not;
  EXPECT_THAT(found, Contains("DROP_DUPLICATE_INDEX public.orders_state"));
  EXPECT_THAT(found, Contains("DROP_DUPLICATE_INDEX public.orders_state_3"));
  EXPECT_THAT(found, Not(Contains("DROP_DUPLICATE_INDEX public.orders_state_2")));
  EXPECT_THAT(found, Contains("DROP_UNUSED_INDEX public.orders_total"));
  EXPECT_THAT(found, Not(Contains(HasSubstr("orders_unique"))));
  EXPECT_THAT(found, Not(Contains(HasSubstr("orders_pkey"))));
  EXPECT_THAT(found, Contains("DROP_INVALID_INDEX public.orders_broken"));
  EXPECT_THAT(found, Contains("ANALYZE_TABLE public.fresh"));
  EXPECT_THAT(found, Contains(HasSubstr("CREATE_STATISTICS shop.slipstream_st_items_city_zip")));
  EXPECT_THAT(found, Not(Contains(HasSubstr("slipstream_st_orders"))));
  EXPECT_THAT(found, Contains("CHANGE_SETTING autovacuum"));
  Run("DROP INDEX orders_state, orders_state_2, orders_state_3, orders_total, orders_unique, "
      "orders_broken");
  Run("DROP TABLE fresh");
}

TEST_F(IndexAdvisorTest, WithoutTheExtensionsItSaysWhatToDo) {
  Run("DROP EXTENSION hypopg");
  EXPECT_EQ(status::Reason(AdviseIndexes(*connection_, clock_, {}).status()), kHypopgMissing);
  Run("CREATE EXTENSION hypopg");
  Run("DROP EXTENSION pg_stat_statements");
  EXPECT_EQ(status::Reason(AdviseIndexes(*connection_, clock_, {}).status()),
            kStatementsNotCounted);
  Run("CREATE EXTENSION pg_stat_statements");
}

}  // namespace
}  // namespace slipstream::database_optimizer
