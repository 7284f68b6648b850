#include "services/monitoring/request_figures.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "libs/timestamp/timestamp.h"
#include "services/monitoring/latency_histogram.h"

namespace slipstream::monitoring {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1767225600) + absl::Minutes(30);

v1::RequestRecord Record(const std::string& route, double duration_ms, int http_status = 200) {
  v1::RequestRecord out;
  out.set_service("edge");
  out.set_route(route);
  out.set_http_status(http_status);
  out.set_duration_ms(duration_ms);
  return out;
}

v1::RequestRecord At(v1::RequestRecord record, absl::Time time) {
  *record.mutable_finished_at() = timestamp::FromTime(time);
  return record;
}

TEST(LatencyHistogram, PercentilesAreNearTheTruth) {
  LatencyHistogram histogram;
  for (int i = 1; i <= 10000; ++i) histogram.Add(i / 10.0);  // 0.1 to 1000 ms, evenly
  for (const double q : {0.1, 0.5, 0.95, 0.99}) {
    EXPECT_NEAR(histogram.Quantile(q), q * 1000, q * 1000 * 0.05) << q;
  }
  EXPECT_EQ(histogram.Quantile(1), 1000);
  EXPECT_EQ(histogram.max_ms(), 1000);
}

TEST(LatencyHistogram, ExtremesStayInRange) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.Quantile(0.5), 0);
  histogram.Add(0);
  EXPECT_EQ(histogram.Quantile(0.99), 0);
  histogram.Add(1e12);
  EXPECT_EQ(histogram.Quantile(1), 1e12);
  EXPECT_EQ(histogram.count(), 2);
}

TEST(RequestFigures, CountsErrorsAndAverages) {
  RequestFigures figures;
  auto record = Record("GET /a", 10);
  record.mutable_cost()->set_cache_calls_count(3);
  record.mutable_cost()->set_database_ms(8);
  EXPECT_TRUE(figures.Add(record, kNow));
  EXPECT_TRUE(figures.Add(Record("GET /a", 30, 503), kNow));
  EXPECT_TRUE(figures.Add(Record("GET /b", 900, 404), kNow));
  const auto summary = figures.Summary(absl::Hours(1), "", kNow);
  EXPECT_EQ(summary.total().requests_count(), 3);
  EXPECT_EQ(summary.total().errors_count(), 1) << "404 is the caller's fault";
  ASSERT_EQ(summary.routes_size(), 2);
  EXPECT_EQ(summary.routes(0).route(), "GET /b") << "the slowest first";
  EXPECT_EQ(summary.routes(0).performance_class(), v1::RouteSummary::WARNING);
  EXPECT_EQ(summary.routes(1).performance_class(), v1::RouteSummary::GOOD);
  EXPECT_EQ(summary.routes(1).average_cost().cache_calls_count(), 1.5);
  EXPECT_EQ(summary.routes(1).average_cost().database_ms(), 4);
  EXPECT_EQ(summary.routes(1).max_ms(), 30);
}

TEST(RequestFigures, TheWindowLeavesOutWhatIsOlder) {
  RequestFigures figures;
  figures.Add(At(Record("GET /a", 1), kNow - absl::Minutes(10)), kNow);
  figures.Add(At(Record("GET /a", 1), kNow - absl::Hours(5)), kNow);
  figures.Add(Record("GET /a", 1), kNow);
  EXPECT_EQ(figures.Summary(absl::Minutes(5), "", kNow).total().requests_count(), 1);
  EXPECT_EQ(figures.Summary(absl::Hours(1), "", kNow).total().requests_count(), 2);
  const auto day = figures.Summary(absl::Hours(24), "", kNow);
  EXPECT_EQ(day.total().requests_count(), 3);
  EXPECT_EQ(timestamp::ToTime(day.window_start()), kNow - absl::Hours(24) - absl::Minutes(30));
  EXPECT_FALSE(figures.Add(At(Record("GET /a", 1), kNow - absl::Hours(25)), kNow));
}

TEST(RequestFigures, ATimeToComeCountsAsNow) {
  RequestFigures figures;
  EXPECT_TRUE(figures.Add(At(Record("GET /a", 1), kNow + absl::Hours(9)), kNow));
  EXPECT_EQ(figures.Summary(absl::Minutes(1), "", kNow).total().requests_count(), 1);
}

TEST(RequestFigures, LateRecordsFindTheirMinute) {
  RequestFigures figures;
  for (const int minutes_ago : {3, 1, 2, 0, 3, 1}) {
    figures.Add(At(Record("GET /a", 1), kNow - absl::Minutes(minutes_ago)), kNow);
  }
  EXPECT_EQ(figures.Summary(absl::Minutes(1), "", kNow).total().requests_count(), 3);
  EXPECT_EQ(figures.Summary(absl::Minutes(2), "", kNow).total().requests_count(), 4);
  EXPECT_EQ(figures.Summary(absl::Minutes(3), "", kNow).total().requests_count(), 6);
}

TEST(RequestFigures, ThePrefixFilters) {
  RequestFigures figures;
  figures.Add(Record("GET /api/v1/x", 1), kNow);
  figures.Add(Record("POST /api/v1/x", 1), kNow);
  EXPECT_EQ(figures.Summary(absl::Hours(1), "GET /api", kNow).total().requests_count(), 1);
}

TEST(RequestFigures, RoutesAreBoundedAndIdleOnesMakeRoom) {
  RequestFigures figures;
  for (int i = 0; i < 500; ++i) EXPECT_TRUE(figures.Add(Record(absl::StrCat("r", i), 1), kNow));
  EXPECT_FALSE(figures.Add(Record("one more", 1), kNow));
  EXPECT_TRUE(figures.Add(Record("r7", 1), kNow)) << "known routes go on";
  const absl::Time later = kNow + absl::Hours(26);
  figures.Prune(later);
  EXPECT_EQ(figures.routes_count(), 0u);
  EXPECT_TRUE(figures.Add(Record("one more", 1), later));
}

}  // namespace
}  // namespace slipstream::monitoring
