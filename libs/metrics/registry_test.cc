#include "libs/metrics/registry.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "libs/metrics/metric_def.h"

namespace slipstream::metrics {
namespace {

constexpr CounterDef kCalls{"slipstream_test_calls_total", "Calls.", {"method", "code"}, 3};
constexpr GaugeDef kDepth{"slipstream_test_depth", "Depth."};
constexpr std::array<double, 2> kBounds = {1, 2};
constexpr HistogramDef kWait{"slipstream_test_wait_seconds", "Wait.", {"q"}, kBounds};

static_assert(IsValidMetricName("grpc_server_handled_total", MetricType::kCounter));
static_assert(IsValidMetricName("grpc_server_handling_seconds", MetricType::kHistogram));
static_assert(!IsValidMetricName("grpc_server_other_total", MetricType::kCounter));
static_assert(!IsValidMetricName("requests_total", MetricType::kCounter));
static_assert(!IsValidMetricName("slipstream_requests", MetricType::kCounter));
static_assert(!IsValidMetricName("slipstream_requests_total", MetricType::kGauge));
static_assert(!IsValidMetricName("slipstream_Wait", MetricType::kGauge));
static_assert(!IsValidMetricName("slipstream_wait_bucket", MetricType::kHistogram));
static_assert(!IsValidMetricName("slipstream_", MetricType::kGauge));
static_assert(!IsValidLabelName("le"));
static_assert(!IsValidLabelName("1a"));

TEST(Registry, ExposesCountersGaugesAndHistogramsSorted) {
  Registry registry;
  registry.Add(kWait).With({"a"}).Observe(1.5);
  registry.Add(kWait).With({"a"}).Observe(2);
  registry.Add(kWait).With({"a"}).Observe(9);
  const Gauge depth = registry.Add(kDepth).With({});
  depth.Set(5);
  depth.Add(-2.5);
  registry.Add(kCalls).With({"Get", "OK"}).Increment(2);
  EXPECT_EQ(registry.Expose(),
            "# HELP slipstream_metrics_other_label_sets_total Label sets that were counted as "
            "\"other\" because their family has its most children.\n"
            "# TYPE slipstream_metrics_other_label_sets_total counter\n"
            "# HELP slipstream_test_calls_total Calls.\n"
            "# TYPE slipstream_test_calls_total counter\n"
            "slipstream_test_calls_total{method=\"Get\",code=\"OK\"} 2\n"
            "# HELP slipstream_test_depth Depth.\n"
            "# TYPE slipstream_test_depth gauge\n"
            "slipstream_test_depth 2.5\n"
            "# HELP slipstream_test_wait_seconds Wait.\n"
            "# TYPE slipstream_test_wait_seconds histogram\n"
            "slipstream_test_wait_seconds_count{q=\"a\"} 3\n"
            "slipstream_test_wait_seconds_sum{q=\"a\"} 12.5\n"
            "slipstream_test_wait_seconds_bucket{q=\"a\",le=\"1\"} 0\n"
            "slipstream_test_wait_seconds_bucket{q=\"a\",le=\"2\"} 2\n"
            "slipstream_test_wait_seconds_bucket{q=\"a\",le=\"+Inf\"} 3\n");
}

TEST(Registry, SameDefinitionIsTheSameFamily) {
  Registry registry;
  registry.Add(kCalls).With({"Get", "OK"}).Increment();
  registry.Add(kCalls).With({"Get", "OK"}).Increment();
  EXPECT_EQ(ValueOf(registry, "slipstream_test_calls_total{method=\"Get\",code=\"OK\"}"), 2);
}

TEST(RegistryDeathTest, ProgrammingErrorsEndTheProcessWithTheName) {
  static constexpr GaugeDef kOtherHelp{"slipstream_test_depth", "Another depth."};
  Registry registry;
  registry.Add(kDepth);
  EXPECT_DEATH(registry.Add(kOtherHelp), "slipstream_test_depth: defined twice");
  EXPECT_DEATH(registry.Add(kCalls).With({"Get"}), "slipstream_test_calls_total: wrong number");
}

TEST(Registry, ChildrenAreBoundedAndTheRestIsOther) {
  Registry registry;
  const Family<Counter> calls = registry.Add(kCalls);
  for (int i = 0; i < 100; ++i) calls.With({std::to_string(i), "OK"}).Increment();
  EXPECT_EQ(ValueOf(registry, "slipstream_test_calls_total{method=\"2\",code=\"OK\"}"), 1);
  EXPECT_EQ(ValueOf(registry, "slipstream_test_calls_total{method=\"3\",code=\"OK\"}"), 0);
  EXPECT_EQ(ValueOf(registry, "slipstream_test_calls_total{method=\"other\",code=\"other\"}"), 97);
  EXPECT_EQ(ValueOf(registry,
                    "slipstream_metrics_other_label_sets_total{family=\"slipstream_test_calls_"
                    "total\"}"),
            97);
}

TEST(Registry, LabelValuesFromOutsideCannotBreakTheExposition) {
  Registry registry;
  registry.Add(kCalls).With({"a\xFF\n\"b\\", std::string(1000, 'x')}).Increment();
  const std::string text = registry.Expose();
  EXPECT_NE(text.find("{method=\"a??\\\"b\\\\\",code=\"" + std::string(128, 'x') + "\"} 1\n"),
            std::string::npos)
      << text;
}

TEST(Registry, DefaultHandlesDoNothing) {
  Counter().Increment();
  Gauge().Set(1);
  Histogram().Observe(1);
  Family<Counter>().With({"x"}).Increment();
  EXPECT_EQ(Counter().Value(), 0u);
}

TEST(Registry, ConcurrentIncrementsAndScrapesAddUp) {
  Registry registry;
  const Counter counter = registry.Add(kCalls).With({"Get", "OK"});
  const Histogram wait = registry.Add(kWait).With({"a"});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10000; ++i) {
        counter.Increment();
        wait.Observe(i % 3);
      }
    });
  }
  for (int i = 0; i < 20; ++i) registry.Expose();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.Value(), 40000u);
  EXPECT_EQ(wait.Count(), 40000u);
}

TEST(Registry, CollectorsRunAtTheScrapeUntilTheirRegistrationEnds) {
  static constexpr GaugeDef kSize{"slipstream_test_size_bytes", "Size.", {"part"}, 2};
  Registry registry;
  int calls = 0;
  {
    const auto registration = registry.AddCollector([&](Samples& samples) {
      ++calls;
      samples.Add(kSize, 7, {"a"});
      samples.Add(kSize, 8, {"b"});
      samples.Add(kSize, 9, {"c"});
    });
    EXPECT_EQ(calls, 0);
    EXPECT_EQ(ValueOf(registry, "slipstream_test_size_bytes{part=\"a\"}"), 7);
    EXPECT_EQ(ValueOf(registry, "slipstream_test_size_bytes{part=\"other\"}"), 9);
    EXPECT_EQ(calls, 2);
  }
  EXPECT_EQ(ValueOf(registry, "slipstream_test_size_bytes{part=\"a\"}"), 0);
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace slipstream::metrics
