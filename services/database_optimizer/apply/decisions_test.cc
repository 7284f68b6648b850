// What is decided without a database: whether a change did harm, and what may be applied unasked.
#include "gtest/gtest.h"
#include "services/database_optimizer/apply/auto_apply_policy.h"
#include "services/database_optimizer/apply/measurement.h"
#include "services/database_optimizer/apply/verification.h"

namespace slipstream::database_optimizer {
namespace {

// `runs` runs of `mean` ms that differ by a tenth (standard deviation).
StatementCounters Runs(double runs, double mean, double blocks = 100, double wal = 0) {
  return {runs, runs * mean, runs * mean * mean * 1.01, runs * blocks, runs * wal};
}

const std::set<std::string> kOnTable = {"a", "b"};

TEST(Verification, FasterOrTheSameIsNoHarm) {
  EXPECT_FALSE(Verify({{"a", Runs(100, 10)}}, {{"a", Runs(100, 1, 5)}}, kOnTable, {}).harmed);
  const Verdict same = Verify({{"a", Runs(100, 10)}}, {{"a", Runs(100, 10.2, 120)}}, kOnTable, {});
  EXPECT_FALSE(same.harmed);
  EXPECT_EQ(same.statements_count, 1);
  EXPECT_EQ(same.calls_count, 100);
  EXPECT_DOUBLE_EQ(same.mean_before_ms, 10);
  EXPECT_DOUBLE_EQ(same.mean_after_ms, 10.2);
}

TEST(Verification, OneStatementSlowerByTwiceTheLimitIsHarm) {
  const Counters before = {{"a", Runs(1000, 10)}, {"b", Runs(1000, 100)}};
  EXPECT_TRUE(
      Verify(before, {{"a", Runs(1000, 11.5, 130)}, {"b", Runs(1000, 90, 80)}}, kOnTable, {})
          .harmed);
  EXPECT_FALSE(
      Verify(before, {{"a", Runs(1000, 10.8, 130)}, {"b", Runs(1000, 90, 80)}}, kOnTable, {})
          .harmed);
}

TEST(Verification, TogetherSlowerByTheLimitIsHarm) {
  const Counters before = {{"a", Runs(1000, 10)}, {"b", Runs(1000, 10)}};
  const Counters after = {{"a", Runs(1000, 10.7, 110)}, {"b", Runs(1000, 10.7, 110)}};
  EXPECT_TRUE(Verify(before, after, kOnTable, {}).harmed);
  EXPECT_FALSE(Verify(before, after, kOnTable, {.max_harm_percent = 8}).harmed);
}

TEST(Verification, NoiseOthersAndTheSameWorkAreNoHarm) {
  // A few runs that vary a lot.
  StatementCounters wild = Runs(20, 12, 130);
  wild.squares_ms2 = 20 * (12 * 12 + 30 * 30);
  EXPECT_FALSE(Verify({{"a", Runs(20, 10)}}, {{"a", wild}}, kOnTable, {}).harmed);
  // The machine became slower for everybody.
  const Counters before = {
      {"a", Runs(1000, 10)}, {"x", Runs(1000, 1)}, {"y", Runs(1000, 2)}, {"z", Runs(1000, 3)}};
  const Counters after = {{"a", Runs(1000, 13, 130)},
                          {"x", Runs(1000, 1.3)},
                          {"y", Runs(1000, 2.6)},
                          {"z", Runs(1000, 3.9)}};
  EXPECT_FALSE(Verify(before, after, kOnTable, {}).harmed);
  EXPECT_TRUE(Verify({{"a", before.at("a")}}, after, kOnTable, {}).harmed);
  // Block for block the same work.
  EXPECT_FALSE(Verify({{"a", Runs(1000, 10)}}, {{"a", Runs(1000, 20)}}, kOnTable, {}).harmed);
  // More log for the same blocks is other work: rows that are no longer updated in their page.
  EXPECT_TRUE(
      Verify({{"a", Runs(1000, 10)}}, {{"a", Runs(1000, 20, 100, 2)}}, kOnTable, {}).harmed);
  // Microseconds of an insert do not count alone.
  EXPECT_FALSE(Verify({{"a", Runs(1000, 0.03)}, {"b", Runs(1000, 5)}},
                      {{"a", Runs(1000, 0.04, 103)}, {"b", Runs(1000, 1, 7)}}, kOnTable, {})
                   .harmed);
}

TEST(Verification, TooFewRunsAndOtherTablesSayNothing) {
  EXPECT_EQ(Verify({{"a", Runs(100, 1)}}, {{"a", Runs(19, 9, 200)}}, kOnTable, {}).statements_count,
            0);
  EXPECT_FALSE(Verify({{"a", Runs(19, 1)}}, {{"a", Runs(100, 9, 200)}}, kOnTable, {}).harmed);
  EXPECT_FALSE(Verify({{"x", Runs(100, 1)}}, {{"x", Runs(100, 9, 200)}}, kOnTable, {}).harmed);
}

TEST(Verification, BetweenTakesTheDifferenceAndSurvivesEviction) {
  const Counters from = {{"a", {10, 100, 1000, 50, 5}}, {"b", {10, 1, 1, 1, 1}}};
  const Counters to = {
      {"a", {30, 400, 5000, 90, 6}}, {"b", {4, 8, 16, 2, 2}}, {"c", {1, 2, 4, 0, 0}}};
  const Counters d = Between(from, to);
  EXPECT_EQ(d.at("a").calls_count, 20);
  EXPECT_EQ(d.at("a").total_ms, 300);
  EXPECT_EQ(d.at("b").calls_count, 4) << "evicted and counted anew";
  EXPECT_EQ(d.at("c").calls_count, 1);
}

TEST(Measurement, SurvivesItsJson) {
  Measurement m;
  m.counters["0123456789abcdef"] = {1, 2.5, 3, 4, 5};
  m.on_table = {"0123456789abcdef"};
  m.since = "2026-01-01 00:00:00+00";
  const Measurement back = MeasurementFromJson(ToJson(m));
  EXPECT_EQ(back.since, m.since);
  EXPECT_EQ(back.on_table, m.on_table);
  EXPECT_EQ(back.counters.at("0123456789abcdef").total_ms, 2.5);
  EXPECT_TRUE(MeasurementFromJson("nonsense").counters.empty());
  EXPECT_TRUE(MeasurementFromJson(R"({"counters":{"x":[1]},"on_table":3})").counters.empty());
}

absl::Time At(int hour, int minute) {
  return absl::FromCivil(absl::CivilMinute(2026, 5, 1, hour, minute), absl::UTCTimeZone());
}

TEST(DailyWindow, MayPassMidnight) {
  const auto night = *DailyWindow::Parse("22:30-02:00");
  EXPECT_TRUE(night.Contains(At(22, 30)));
  EXPECT_TRUE(night.Contains(At(1, 59)));
  EXPECT_FALSE(night.Contains(At(2, 0)));
  EXPECT_FALSE(night.Contains(At(12, 0)));
  const auto day = *DailyWindow::Parse("02:00-04:00");
  EXPECT_TRUE(day.Contains(At(3, 0)));
  EXPECT_FALSE(day.Contains(At(4, 0)));
  EXPECT_TRUE(DailyWindow::Parse("")->Contains(At(4, 0)));
  for (const char* bad : {"2:00-4:00", "02:00", "02:00-24:00", "02:60-03:00", "aa:bb-cc:dd"}) {
    EXPECT_FALSE(DailyWindow::Parse(bad).ok()) << bad;
  }
}

StoredRecommendation Stored(double gain, int64_t bytes, const std::string& table = "public.t") {
  StoredRecommendation out;
  out.gain = gain;
  out.recommendation.set_kind(v1::Recommendation::CREATE_INDEX);
  out.recommendation.set_status(v1::Recommendation::PROPOSED);
  out.recommendation.set_table(table);
  out.recommendation.mutable_evidence()->set_size_bytes(bytes);
  return out;
}

TEST(AutoApply, EachLimitHolds) {
  AutoApplyPolicy policy;
  policy.enabled = true;
  policy.window = *DailyWindow::Parse("02:00-04:00");
  policy.max_bytes = 1000;
  policy.max_changes_per_day_count = 2;
  policy.min_gain_percent = 10;
  EXPECT_TRUE(policy.MayBegin(At(3, 0), {1, 0}));
  EXPECT_FALSE(policy.MayBegin(At(5, 0), {1, 0}));
  EXPECT_FALSE(policy.MayBegin(At(3, 0), {2, 0}));
  EXPECT_FALSE(policy.MayBegin(At(3, 0), {1, 1000}));
  EXPECT_NE(policy.Choose({Stored(20, 900)}, {0, 0}), nullptr);
  EXPECT_EQ(policy.Choose({Stored(9.9, 100)}, {0, 0}), nullptr) << "too little gain";
  EXPECT_EQ(policy.Choose({Stored(20, 900)}, {0, 200}), nullptr) << "over the bytes that are left";
  auto drop = Stored(50, 1);
  drop.recommendation.set_kind(v1::Recommendation::DROP_UNUSED_INDEX);
  EXPECT_EQ(policy.Choose({drop}, {0, 0}), nullptr) << "only new indexes";
  policy.tables = {"shop.orders"};
  EXPECT_EQ(policy.Choose({Stored(20, 900)}, {0, 0}), nullptr);
  EXPECT_NE(policy.Choose({Stored(20, 900, "shop.orders")}, {0, 0}), nullptr);
  policy.enabled = false;
  EXPECT_FALSE(policy.MayBegin(At(3, 0), {0, 0}));
}

}  // namespace
}  // namespace slipstream::database_optimizer
