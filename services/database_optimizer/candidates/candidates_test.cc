#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/status/status.h"
#include "services/database_optimizer/candidates/candidate_builder.h"
#include "services/database_optimizer/candidates/sql_text.h"
#include "services/database_optimizer/candidates/statement_shape.h"

namespace slipstream::database_optimizer {
namespace {

using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::Not;

TableInfo Table(const std::string& name, const std::vector<std::string>& columns) {
  TableInfo table;
  table.schema = "public";
  table.name = name;
  table.rows_count = 100000;
  for (const auto& column : columns) {
    ColumnInfo info;
    info.name = column;
    table.columns.push_back(info);
  }
  return table;
}

Catalog MakeCatalog() {
  Catalog catalog;
  catalog.Add(
      Table("orders", {"id", "customer_id", "state", "placed_at", "total", "done", "note"}));
  catalog.Add(Table("items", {"order_id", "sku", "price"}));
  return catalog;
}

std::vector<std::string> CandidatesOf(const std::string& sql, int64_t calls_count = 1,
                                      CandidateOptions options = {}) {
  const Catalog catalog = MakeCatalog();
  auto shape = AnalyzeStatement(sql, catalog);
  EXPECT_TRUE(shape.ok()) << shape.status();
  std::vector<std::string> out;
  if (!shape.ok()) return out;
  for (const auto& definition : BuildCandidates({{&*shape, calls_count}}, catalog, options)) {
    out.push_back(definition.Target());
  }
  return out;
}

std::string On(const std::string& table, const std::string& rest) {
  return "ON \"public\".\"" + table + "\" USING btree (" + rest;
}

TEST(Candidates, EqualFirstThenRangeThenTheOrder) {
  const auto found = CandidatesOf(
      "SELECT * FROM orders WHERE customer_id = $1 AND placed_at > $2 ORDER BY total DESC LIMIT "
      "$3");
  EXPECT_THAT(found, Contains(On("orders", "\"customer_id\")")));
  EXPECT_THAT(found, Contains(On("orders", "\"placed_at\")")));
  EXPECT_THAT(found, Contains(On("orders", "\"customer_id\", \"placed_at\")")));
  EXPECT_THAT(found, Contains(On("orders", "\"customer_id\", \"total\")")));
  EXPECT_THAT(found, Contains(On("orders", "\"total\")")));
  EXPECT_THAT(found, Not(Contains(On("orders", "\"note\")"))));
}

TEST(Candidates, EveryOrderOfEqualColumnsUpToTheBound) {
  const auto found =
      CandidatesOf("SELECT 1 FROM orders WHERE customer_id = $1 AND state IN ($2, $3)");
  EXPECT_THAT(found, Contains(On("orders", "\"customer_id\", \"state\")")));
  EXPECT_THAT(found, Contains(On("orders", "\"state\", \"customer_id\")")));
  const auto narrow = CandidatesOf("SELECT 1 FROM orders WHERE customer_id = $1 AND state = $2", 1,
                                   {.max_columns_count = 1});
  EXPECT_THAT(narrow, Each(Not(HasSubstr(","))));
}

TEST(Candidates, JoinsByAliasUsingCorrelationAndIn) {
  for (const char* sql :
       {"SELECT 1 FROM orders o JOIN items i ON o.id = i.order_id",
        "SELECT 1 FROM orders, items WHERE id = order_id",
        "SELECT 1 FROM orders o WHERE EXISTS (SELECT 1 FROM items WHERE order_id = o.id)",
        "SELECT 1 FROM orders WHERE id IN (SELECT order_id FROM items)",
        "WITH x AS (SELECT 1 FROM orders o LEFT JOIN items i ON o.id = i.order_id) SELECT 1 FROM x",
        "DELETE FROM items USING orders o WHERE o.id = order_id"}) {
    const auto found = CandidatesOf(sql);
    EXPECT_THAT(found, Contains(On("items", "\"order_id\")"))) << sql;
    EXPECT_THAT(found, Contains(On("orders", "\"id\")"))) << sql;
  }
}

TEST(Candidates, GroupAndOrderByPlaceOrName) {
  EXPECT_THAT(CandidatesOf("SELECT state, count(*) FROM orders GROUP BY 1 ORDER BY 2"),
              Contains(On("orders", "\"state\")")));
  EXPECT_THAT(CandidatesOf("SELECT placed_at AS p FROM orders ORDER BY p, total DESC"),
              Contains(On("orders", "\"placed_at\", \"total\" DESC)")));
}

TEST(Candidates, PartialAndCoveringOnlyWhereTheWorkloadRepeats) {
  const char* sql = "SELECT total FROM orders WHERE customer_id = $1 AND NOT done";
  EXPECT_THAT(CandidatesOf(sql, 1), Each(Not(HasSubstr(" WHERE "))));
  EXPECT_THAT(CandidatesOf(sql, 1), Each(Not(HasSubstr("INCLUDE"))));
  const auto repeated = CandidatesOf(sql, 100);
  EXPECT_THAT(repeated, Contains(On("orders", "\"customer_id\") WHERE NOT \"done\"")));
  EXPECT_THAT(repeated, Contains(On("orders", "\"customer_id\") INCLUDE (\"done\", \"total\")")));
  EXPECT_THAT(CandidatesOf("SELECT id FROM orders WHERE state = 'o''pen' AND total > $1", 100),
              Contains(On("orders", "\"total\") WHERE \"state\" = 'o''pen'")));
}

TEST(Candidates, WhatNoIndexServesIsNone) {
  EXPECT_THAT(CandidatesOf("SELECT 1 FROM orders WHERE note LIKE $1"), testing::IsEmpty());
  EXPECT_THAT(CandidatesOf("SELECT 1 FROM orders WHERE total + $1 > 5"), testing::IsEmpty());
  EXPECT_THAT(CandidatesOf("SELECT sum(CASE WHEN state = $1 THEN $2 END) FROM orders"),
              testing::IsEmpty());
  EXPECT_THAT(CandidatesOf("SELECT 1 FROM unknown WHERE id = $1"), testing::IsEmpty());
}

TEST(Candidates, AnIndexThatIsThereIsNotAskedForAgain) {
  Catalog catalog = MakeCatalog();
  IndexInfo there;
  there.method = "btree";
  there.keys = {"customer_id", "state"};
  catalog.table(0).indexes.push_back(there);
  auto shape = AnalyzeStatement("SELECT * FROM orders WHERE customer_id = $1", catalog);
  ASSERT_TRUE(shape.ok());
  EXPECT_TRUE(BuildCandidates({{&*shape, 1}}, catalog, {}).empty());
  catalog.table(0).indexes[0].valid = false;
  EXPECT_EQ(BuildCandidates({{&*shape, 1}}, catalog, {}).size(), 1u);
}

TEST(Parameters, WhatTheyStandFor) {
  const Catalog catalog = MakeCatalog();
  auto shape = AnalyzeStatement(
      "SELECT extract($1 FROM placed_at) FROM orders WHERE placed_at >= date $2 AND "
      "placed_at < date $3 + interval $4 AND total BETWEEN $5 AND $6 AND note LIKE $7 "
      "AND state IN ($8, $9) LIMIT $10",
      catalog);
  ASSERT_TRUE(shape.ok()) << shape.status();
  ASSERT_EQ(shape->parameters.size(), 10u);
  using P = Parameter;
  const auto& p = shape->parameters;
  EXPECT_EQ(p[0].type, "field");
  EXPECT_EQ(p[1].kind, P::Kind::kColumn);
  EXPECT_EQ(p[1].end, P::End::kLow);
  EXPECT_EQ(p[2].column.column, "placed_at");
  EXPECT_EQ(p[2].end, P::End::kHigh);
  EXPECT_EQ(p[3].type, "interval");
  EXPECT_EQ(p[4].end, P::End::kLow);
  EXPECT_EQ(p[5].end, P::End::kHigh);
  EXPECT_EQ(p[6].kind, P::Kind::kPattern);
  EXPECT_EQ(p[7].column.column, "state");
  EXPECT_EQ(p[8].kind, P::Kind::kColumn);
  EXPECT_EQ(p[9].kind, P::Kind::kLimit);
}

TEST(Statements, UnreadableOnesAreRefused) {
  const Catalog catalog;
  const std::string deep = "SELECT " + std::string(5000, '(') + "1" + std::string(5000, ')');
  for (const std::string& sql :
       {std::string("SELEC 1"), std::string("SELECT 1; SELECT 2"), std::string(""),
        std::string("DROP TABLE orders"), std::string("SELECT '\0'", 10),
        std::string("SELECT 1") + std::string(kMaxParsedStatementBytes, ' ')}) {
    EXPECT_EQ(status::Reason(AnalyzeStatement(sql, catalog).status()), kStatementUnreadable) << sql;
  }
  AnalyzeStatement(deep, catalog).status().IgnoreError();  // only must not crash
}

TEST(SqlText, NothingEndsItsQuotes) {
  EXPECT_EQ(QuoteName("a\"; DROP TABLE x; --"), "\"a\"\"; DROP TABLE x; --\"");
  EXPECT_EQ(QuoteValue("it's"), "'it''s'");
  EXPECT_EQ(QuoteValue("\\'; DROP TABLE x"), "E'\\\\''; DROP TABLE x'");
}

TEST(IndexDefinitions, NamesFitAndDiffer) {
  IndexDefinition a{"public", std::string(60, 't'), {{"x"}}, {}, ""};
  IndexDefinition b = a;
  b.include = {"y"};
  const std::string prefix = "slipstream_ix_";
  EXPECT_LE(a.Name(prefix).size(), kMaxNameBytes);
  EXPECT_NE(a.Name(prefix), b.Name(prefix));
  EXPECT_EQ(a.Name(prefix), IndexDefinition(a).Name(prefix));
  EXPECT_TRUE(absl::StartsWith(a.Name(prefix), prefix));
  IndexDefinition evil{"public", "x\" (y); --", {{"c\""}}, {}, ""};
  EXPECT_EQ(evil.CreateSql("n\""),
            "CREATE INDEX CONCURRENTLY \"n\"\"\" ON \"public\".\"x\"\" (y); --\" USING btree "
            "(\"c\"\"\")");
}

}  // namespace
}  // namespace slipstream::database_optimizer
