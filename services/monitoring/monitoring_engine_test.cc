#include "services/monitoring/monitoring_engine.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "libs/clock/fake_clock.h"
#include "libs/status/status.h"
#include "libs/timestamp/timestamp.h"

namespace slipstream::monitoring {
namespace {

using Health = v1::ServiceHealth;

class MonitoringEngineTest : public testing::Test {
 protected:
  static Observation Seen(HealthStatus status, std::string message = "") {
    return {status, std::move(message), absl::Milliseconds(3)};
  }
  v1::ServiceHealth Of(const std::string& name) {
    const auto health = engine_.Health();
    for (const auto& service : health.services()) {
      if (service.name() == name) return service;
    }
    ADD_FAILURE() << name << " is not listed";
    return {};
  }
  static v1::RecordRequestsRequest Requests(int count, double duration_ms,
                                            const std::string& route = "GET /x",
                                            int http_status = 200) {
    v1::RecordRequestsRequest out;
    for (int i = 0; i < count; ++i) {
      auto* record = out.add_records();
      record->set_service("worker");
      record->set_route(route);
      record->set_http_status(http_status);
      record->set_duration_ms(duration_ms);
    }
    return out;
  }

  clock::FakeClock clock_;
  MonitoringEngine engine_{{"cache", "task_queue", "worker"}, clock_};
};

TEST_F(MonitoringEngineTest, BeforeTheFirstAnswerNothingIsClaimed) {
  const auto health = engine_.Health();
  EXPECT_EQ(health.status(), Health::STATUS_UNSPECIFIED);
  EXPECT_EQ(health.services_size(), 3);
  EXPECT_FALSE(health.has_checked_at());
  EXPECT_EQ(health.services(0).message(), "not asked yet");
}

TEST_F(MonitoringEngineTest, TheWorstServiceDecidesAndNotConfiguredDoesNotCount) {
  engine_.RecordHealth("cache", Seen(Health::NOT_CONFIGURED));
  engine_.RecordHealth("task_queue", Seen(Health::HEALTHY));
  engine_.RecordHealth("worker", Seen(Health::HEALTHY));
  EXPECT_EQ(engine_.Health().status(), Health::HEALTHY);
  engine_.RecordHealth("worker", Seen(Health::DEGRADED));
  EXPECT_EQ(engine_.Health().status(), Health::DEGRADED);
  engine_.RecordHealth("task_queue", Seen(Health::UNAVAILABLE));
  EXPECT_EQ(engine_.Health().status(), Health::UNAVAILABLE);
}

TEST_F(MonitoringEngineTest, SinceIsTheLastChangeNotTheLastAnswer) {
  EXPECT_TRUE(engine_.RecordHealth("cache", Seen(Health::HEALTHY)));
  const absl::Time first = clock_.Now();
  clock_.Advance(absl::Minutes(1));
  EXPECT_FALSE(engine_.RecordHealth("cache", Seen(Health::HEALTHY)));
  EXPECT_EQ(timestamp::ToTime(Of("cache").since()), first);
  EXPECT_EQ(timestamp::ToTime(engine_.Health().checked_at()), clock_.Now());
  EXPECT_TRUE(engine_.RecordHealth("cache", Seen(Health::UNAVAILABLE, "gone")));
  EXPECT_EQ(timestamp::ToTime(Of("cache").since()), clock_.Now());
  const auto changes = engine_.Overview().health_changes();
  ASSERT_EQ(changes.size(), 2);
  EXPECT_EQ(changes[0].from(), Health::HEALTHY);
  EXPECT_EQ(changes[0].to(), Health::UNAVAILABLE);
  EXPECT_EQ(changes[0].message(), "gone");
}

TEST_F(MonitoringEngineTest, ChangesAreBounded) {
  for (int i = 0; i < 500; ++i) {
    engine_.RecordHealth("cache", Seen(i % 2 ? Health::HEALTHY : Health::DEGRADED));
  }
  EXPECT_EQ(engine_.Overview().health_changes_size(), 100);
}

TEST_F(MonitoringEngineTest, AnUnknownServiceIsNotListed) {
  EXPECT_FALSE(engine_.RecordHealth("other", Seen(Health::HEALTHY)));
  EXPECT_EQ(engine_.Health().services_size(), 3);
}

TEST_F(MonitoringEngineTest, AnAlertKeepsItsTimeWhileItHoldsAndThenGoes) {
  engine_.RecordHealth("cache", Seen(Health::UNAVAILABLE, "cannot be reached"));
  engine_.Tick();
  const absl::Time raised = clock_.Now();
  clock_.Advance(absl::Minutes(2));
  engine_.Tick();
  auto alerts = engine_.Overview().alerts();
  ASSERT_EQ(alerts.size(), 1);
  EXPECT_EQ(alerts[0].severity(), v1::PerformanceAlert::CRITICAL);
  EXPECT_EQ(alerts[0].subject(), "cache");
  EXPECT_EQ(timestamp::ToTime(alerts[0].raised_at()), raised);
  engine_.RecordHealth("cache", Seen(Health::HEALTHY));
  engine_.Tick();
  EXPECT_EQ(engine_.Overview().alerts_size(), 0);
}

TEST_F(MonitoringEngineTest, ASlowRouteRaisesAnAlertUntilItIsFastAgain) {
  ASSERT_TRUE(engine_.RecordRequests(Requests(9, 5000)).ok());
  engine_.Tick();
  EXPECT_EQ(engine_.Overview().alerts_size(), 0) << "nine requests say nothing";
  ASSERT_TRUE(engine_.RecordRequests(Requests(1, 5000)).ok());
  engine_.Tick();
  ASSERT_EQ(engine_.Overview().alerts_size(), 1);
  EXPECT_EQ(engine_.Overview().alerts(0).severity(), v1::PerformanceAlert::CRITICAL);
  EXPECT_TRUE(engine_.Overview().alerts(0).message().ends_with("the threshold is 2000 ms"));
  clock_.Advance(absl::Minutes(7));
  engine_.Tick();
  EXPECT_EQ(engine_.Overview().alerts_size(), 0);
}

TEST_F(MonitoringEngineTest, ABadRecordIsNamedAndNothingIsTaken) {
  auto request = Requests(3, 1);
  request.mutable_records(2)->set_http_status(99);
  const absl::Status status = engine_.RecordRequests(request).status();
  ASSERT_EQ(status::FieldViolations(status).size(), 1u);
  EXPECT_EQ(status::FieldViolations(status)[0].field, "records[2].http_status");
  EXPECT_EQ(engine_.MetricsSummary({})->total().requests_count(), 0);
  EXPECT_EQ(engine_.RecordRequests({}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(engine_.RecordRequests(Requests(1001, 1)).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(engine_.RecordRequests(Requests(1, -1)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(MonitoringEngineTest, TheWindowIsChecked) {
  v1::GetMetricsSummaryRequest request;
  request.set_window_minutes(1441);
  EXPECT_EQ(engine_.MetricsSummary(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.set_window_minutes(-1);
  EXPECT_EQ(engine_.MetricsSummary(request).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(MonitoringEngineTest, LlmHealthIsTheOfflineDrafterUntilAModelReports) {
  auto health = engine_.LlmHealth();
  EXPECT_EQ(health.status(), v1::GetLlmHealthResponse::OFFLINE_DRAFTER);
  EXPECT_EQ(health.model(), "offline drafter");
  EXPECT_EQ(health.requests_count(), 0);
  ASSERT_TRUE(engine_.RecordRequests(Requests(2, 40, "llm offline drafter")).ok());
  health = engine_.LlmHealth();
  EXPECT_EQ(health.status(), v1::GetLlmHealthResponse::OFFLINE_DRAFTER);
  EXPECT_EQ(health.requests_count(), 2);
  EXPECT_NEAR(health.p50_ms(), 40, 10);
  ASSERT_TRUE(engine_.RecordRequests(Requests(1, 900, "llm big-model")).ok());
  EXPECT_EQ(engine_.LlmHealth().status(), v1::GetLlmHealthResponse::AVAILABLE);
  EXPECT_EQ(engine_.LlmHealth().model(), "big-model");
  ASSERT_TRUE(engine_.RecordRequests(Requests(1, 900, "llm big-model", 503)).ok());
  EXPECT_EQ(engine_.LlmHealth().status(), v1::GetLlmHealthResponse::UNAVAILABLE);
  EXPECT_EQ(engine_.LlmHealth().errors_count(), 1);
}

TEST_F(MonitoringEngineTest, WithoutAWorkerLlmHealthSaysSo) {
  engine_.RecordHealth("worker", Seen(Health::UNAVAILABLE));
  EXPECT_NE(engine_.LlmHealth().message().find("no worker answers"), std::string::npos);
}

}  // namespace
}  // namespace slipstream::monitoring
