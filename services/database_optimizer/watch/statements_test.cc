// What is shown of a statement, what shape it has, and what repeats.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "libs/clock/fake_clock.h"
#include "libs/status/status.h"
#include "services/database_optimizer/watch/observed_statements.h"
#include "services/database_optimizer/watch/statement_parse.h"
#include "services/database_optimizer/watch/statement_text.h"

namespace slipstream::database_optimizer {
namespace {

TEST(RedactConstants, EveryFormOfALiteral) {
  EXPECT_EQ(RedactConstants("SELECT * FROM t2 WHERE a = 'x''y' AND b = 1.5e-3 AND c IN (7, .5)"),
            "SELECT * FROM t2 WHERE a = $1 AND b = $2 AND c IN ($3, $4)");
  EXPECT_EQ(RedactConstants("SELECT E'a\\'b', U&'\\0041', N'n', B'01', X'FF', $$d'd$$, $q$e$q$"),
            "SELECT $1, $2, $3, $4, $5, $6, $7");
  EXPECT_EQ(RedactConstants("SELECT \"Col 1\", t.x1, $2, 3 FROM \"odd'name\" x_2"),
            "SELECT \"Col 1\", t.x1, $2, $3 FROM \"odd'name\" x_2");
  EXPECT_EQ(RedactConstants("ALTER ROLE bob PASSWORD 'secret'"), "ALTER ROLE bob PASSWORD $1");
}

TEST(RedactConstants, CommentsAndBlanksAreNotShown) {
  EXPECT_EQ(RedactConstants("/* user='bob' /* nested */ x */ SELECT  1 -- token=abc\n\tFROM t; "),
            "SELECT $1 FROM t");
  EXPECT_EQ(RedactConstants("SELECT 1 /*traceparent='00-aa"), "SELECT $1");
}

TEST(RedactConstants, RatherTooLittleThanAConstant) {
  // Cut off by the server within a literal.
  EXPECT_EQ(RedactConstants("SELECT * FROM t WHERE a = 'secr"), "SELECT * FROM t WHERE a = $1");
  EXPECT_EQ(RedactConstants("SELECT $tag$secr"), "SELECT $1");
  // With standard_conforming_strings off the literal goes on behind the backslash.
  EXPECT_EQ(RedactConstants("SELECT 'a\\' , secret'"), "SELECT $1");
}

TEST(RedactConstants, IsBounded) {
  const std::string text = RedactConstants("SELECT " + std::string(20000, 'a'));
  EXPECT_LE(text.size(), kMaxStatementBytes);
  EXPECT_GT(text.size(), kMaxStatementBytes - 10);
}

TEST(TraceId, OfASqlcommenterComment) {
  const std::string id = "4bf92f3577b34da6a3ce929d0e0e4736";
  EXPECT_EQ(TraceIdOf("SELECT 1 /*route='x',traceparent='00-" + id + "-00f067aa0ba902b7-01'*/"),
            id);
  EXPECT_EQ(TraceIdOf("SELECT 1"), "");
  EXPECT_EQ(TraceIdOf("SELECT 1 /*traceparent='00-" + id), "");
  EXPECT_EQ(
      TraceIdOf("SELECT 1 /*traceparent='00-" + std::string(32, '0') + "-00f067aa0ba902b7-01'*/"),
      "");
  EXPECT_EQ(
      TraceIdOf("SELECT 1 /*traceparent='00-" + std::string(32, 'G') + "-00f067aa0ba902b7-01'*/"),
      "");
}

TEST(IsPlanned, WhatPostgresPlans) {
  EXPECT_TRUE(IsPlanned("  /* by */ -- x\n ((SELECT 1))"));
  EXPECT_TRUE(IsPlanned("with a as (select 1) table a"));
  EXPECT_FALSE(IsPlanned("VACUUM t"));
  EXPECT_FALSE(IsPlanned("selectx"));
  EXPECT_FALSE(IsPlanned(""));
}

TEST(Fingerprint, IsOfTheShape) {
  const std::string shape = Fingerprint("SELECT * FROM t WHERE a = 1 AND b = 'x'");
  EXPECT_EQ(shape.size(), 16u);
  EXPECT_EQ(Fingerprint("select *  from t where a=$1 and b = $2"), shape);
  EXPECT_NE(Fingerprint("SELECT * FROM t WHERE a = 1"), shape);
  EXPECT_EQ(Fingerprint("SELEC"), "");
}

TEST(ParseStatement, OneStatementAndWhatItIs) {
  auto parsed = ParseStatement("SELECT a FROM t WHERE b = $3 AND c = $1;");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->kind, "SELECT");
  EXPECT_TRUE(parsed->planned);
  EXPECT_EQ(parsed->parameters_count, 3);
}

TEST(ParseStatement, SeveralNoneAndBrokenOnesAreRefused) {
  EXPECT_EQ(status::Reason(ParseStatement("SELECT 1; DROP TABLE t").status()), kNotOneStatement);
  EXPECT_EQ(status::Reason(ParseStatement(" -- nothing").status()), kNotOneStatement);
  EXPECT_EQ(status::Reason(ParseStatement("SELEC 1").status()), kNotParsed);
  EXPECT_EQ(status::Reason(ParseStatement(std::string("SELECT 1\0; DROP TABLE t", 23)).status()),
            kNotParsed);
  EXPECT_EQ(status::Reason(ParseStatement(std::string(30000, '(')).status()), kNotParsed);
}

class NPlusOne : public testing::Test {
 protected:
  void Run(const std::string& trace, const std::string& sql, int times,
           const std::string& caller = "billing") {
    for (int i = 0; i < times; ++i) {
      observed_.Observe(trace, Fingerprint(sql), sql, absl::Milliseconds(2), caller);
    }
  }
  static std::string Trace(int i) { return absl::StrCat("trace", i); }

  clock::FakeClock clock_;
  ObservedStatements observed_{clock_, 20};
};

TEST_F(NPlusOne, FiftyOfAShapeWithinOneTrace) {
  Run("t1", "SELECT * FROM orders", 1);
  for (int id = 0; id < 50; ++id) {
    Run("t1", absl::StrCat("SELECT * FROM items WHERE order_id = ", id), 1);
  }
  Run("t2", "SELECT * FROM items WHERE order_id = 1", 19);
  const auto patterns = observed_.n_plus_one().Patterns(10);
  ASSERT_EQ(patterns.size(), 1u);
  EXPECT_EQ(patterns[0].statement(), "SELECT * FROM items WHERE order_id = $1");
  EXPECT_EQ(patterns[0].fingerprint(), Fingerprint("SELECT * FROM items WHERE order_id = 9"));
  EXPECT_EQ(patterns[0].repetitions_count(), 50);
  EXPECT_EQ(patterns[0].example_trace_id(), "t1");
  EXPECT_EQ(patterns[0].traces_count(), 1);
  EXPECT_EQ(patterns[0].caller(), "billing");
  EXPECT_DOUBLE_EQ(patterns[0].total_ms(), 100);
  EXPECT_EQ(observed_.n_plus_one().traces_count(), 2);
}

TEST_F(NPlusOne, ManyTracesOfFewEachAreNone) {
  for (int i = 0; i < 500; ++i) Run(Trace(i), "SELECT 1", 19);
  Run("", "SELECT 1", 100);
  EXPECT_TRUE(observed_.n_plus_one().Patterns(10).empty());
}

TEST_F(NPlusOne, TracesAndTheWorstOneAreKept) {
  Run("t1", "SELECT 1", 25);
  clock_.Advance(absl::Seconds(5));
  Run("t2", "SELECT 1", 60);
  Run("t3", "SELECT 1", 30);
  Run("t3", "SELECT 2 FROM x", 21);
  const auto patterns = observed_.n_plus_one().Patterns(10);
  ASSERT_EQ(patterns.size(), 2u);
  EXPECT_EQ(patterns[0].traces_count(), 3);
  EXPECT_EQ(patterns[0].repetitions_count(), 60);
  EXPECT_EQ(patterns[0].example_trace_id(), "t2");
  EXPECT_EQ(patterns[1].repetitions_count(), 21);
  EXPECT_EQ(observed_.n_plus_one().Patterns(1).size(), 1u);
}

TEST_F(NPlusOne, TheQuietestTraceMakesRoom) {
  Run("t-old", "SELECT 1", 19);
  for (size_t i = 0; i < NPlusOneDetector::kMaxTracesCount - 1; ++i) Run(Trace(i), "SELECT 1", 1);
  Run("t-old", "SELECT 1", 1);  // it was kept, and is the latest now
  EXPECT_EQ(observed_.n_plus_one().Patterns(10).size(), 1u);
  for (size_t i = 0; i < NPlusOneDetector::kMaxTracesCount; ++i) {
    Run(absl::StrCat("more", i), "SELECT 1", 1);
  }
  Run("t-old", "SELECT 1", 1);  // forgotten, so it begins anew
  EXPECT_EQ(observed_.n_plus_one().Patterns(10)[0].repetitions_count(), 20);
}

TEST_F(NPlusOne, PatternsAreBounded) {
  for (size_t i = 0; i < NPlusOneDetector::kMaxPatternsCount + 50; ++i) {
    Run(Trace(i), absl::StrCat("SELECT a", i, " FROM t"), 20);
  }
  const auto patterns = observed_.n_plus_one().Patterns(10000);
  EXPECT_EQ(patterns.size(), NPlusOneDetector::kMaxPatternsCount);
  for (const auto& pattern : patterns) EXPECT_NE(pattern.statement(), "SELECT a0 FROM t");
}

TEST(StatementLatencies, TheTraceOfASlowRun) {
  StatementLatencies latencies(absl::Milliseconds(500));
  latencies.Observe("01", absl::Milliseconds(600), "t1");
  latencies.Observe("01", absl::Milliseconds(3), "t2");
  EXPECT_EQ(latencies.TraceOf("01", absl::Milliseconds(590)), "t1");
  EXPECT_EQ(latencies.TraceOf("01", absl::Milliseconds(900)), "") << "that was another run";
  EXPECT_EQ(latencies.TraceOf("02", absl::Milliseconds(600)), "");
  latencies.Observe("01", absl::Milliseconds(900), "t3");
  EXPECT_EQ(latencies.TraceOf("01", absl::Milliseconds(900)), "t3");
}

TEST(StatementLatencies, P95WithinAQuarter) {
  StatementLatencies latencies;
  for (int i = 1; i <= 1000; ++i) latencies.Observe("0000000000000001", absl::Milliseconds(i));
  const double p95_ms = absl::ToDoubleMilliseconds(latencies.P95("0000000000000001"));
  EXPECT_GE(p95_ms, 950);
  EXPECT_LE(p95_ms, 950 * 1.25);
  EXPECT_EQ(latencies.P95("0000000000000002"), absl::ZeroDuration());
  EXPECT_EQ(latencies.observed_count(), 1000);
  for (size_t i = 0; i < StatementLatencies::kMaxShapesCount; ++i) {
    latencies.Observe(absl::StrCat("shape", i), absl::Hours(100));
  }
  EXPECT_EQ(latencies.P95("0000000000000001"), absl::ZeroDuration());
  EXPECT_GT(latencies.P95("shape7"), absl::Minutes(1));
}

}  // namespace
}  // namespace slipstream::database_optimizer
