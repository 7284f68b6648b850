// The service over a real server on loopback, and the scraper against services that answer, answer
// badly, do not serve or are not there. The permissions are those that are shipped; only the
// token's verification is replaced, by plain metadata.
#include "services/monitoring/monitoring_service.h"

#include <grpcpp/grpcpp.h>

#include <future>
#include <memory>

#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/async/scope.h"
#include "libs/audit/memory_audit_log.h"
#include "libs/auth/permissions.h"
#include "libs/clock/clock.h"
#include "libs/clock/fake_clock.h"
#include "libs/random/random.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/handler.h"
#include "libs/rpc/server.h"
#include "libs/rpc/status_convert.h"
#include "libs/status/status.h"
#include "services/monitoring/monitoring_metrics.h"
#include "services/monitoring/scraper.h"
#include "slipstream/cache/v1/cache.grpc.pb.h"
#include "slipstream/database_optimizer/v1/database_optimizer.grpc.pb.h"
#include "slipstream/monitoring/v1/monitoring.grpc.pb.h"

namespace slipstream::monitoring {
namespace {

namespace cv = slipstream::cache::v1;
namespace dv = slipstream::database_optimizer::v1;
using Health = v1::ServiceHealth;

class TestAuthStage final : public rpc::Stage {
 public:
  std::string_view name() const override { return "auth"; }
  absl::Status Begin(rpc::CallContext& call) override {
    if (call.method().open) return absl::OkStatus();
    auto who = std::make_shared<auth::Principal>();
    who->user = "somebody";
    who->roles = {std::string(call.metadata("x-role"))};
    call.set_principal(who);
    return permissions_.Check(*who, call.method().permission);
  }

 private:
  const auth::PermissionMap permissions_ = *auth::PermissionMap::Create();
};

// Answers GetStats with what the test says.
class FakeCache final : public cv::CacheService::CallbackService {
 public:
  explicit FakeCache(const rpc::Dispatcher& d)
      : rpc_(d, *rpc::MethodTable::ForService("slipstream.cache.v1.CacheService")) {}
  grpc::ServerUnaryReactor* GetStats(grpc::CallbackServerContext* c, const cv::GetStatsRequest* q,
                                     cv::CacheStats* p) override {
    return rpc_.Unary("GetStats", c, q, p,
                      [this](rpc::CallContext&, const cv::GetStatsRequest&, cv::CacheStats* p) {
                        *p = stats;
                        return status;
                      });
  }
  cv::CacheStats stats;
  absl::Status status;

 private:
  rpc::Endpoint rpc_;
};

class FakeOptimizer final : public dv::DatabaseOptimizerService::CallbackService {
 public:
  explicit FakeOptimizer(const rpc::Dispatcher& d)
      : rpc_(d, *rpc::MethodTable::ForService(
                    "slipstream.database_optimizer.v1.DatabaseOptimizerService")) {}
  grpc::ServerUnaryReactor* GetStats(grpc::CallbackServerContext* c, const dv::GetStatsRequest* q,
                                     dv::GetStatsResponse* p) override {
    return rpc_.Unary("GetStats", c, q, p,
                      [this](rpc::CallContext&, const dv::GetStatsRequest&, dv::GetStatsResponse*) {
                        return status;
                      });
  }
  absl::Status status;

 private:
  rpc::Endpoint rpc_;
};

class FakePeers final : public service::Peers {
 public:
  std::shared_ptr<grpc::Channel> Channel(std::string_view) override { return channel; }
  rpc::CallOptions OwnCall() const override {
    rpc::CallOptions options;
    options.metadata.emplace_back("x-role", "service");
    return options;
  }
  std::shared_ptr<grpc::Channel> channel;
};

class MonitoringServiceTest : public testing::Test {
 protected:
  MonitoringServiceTest() {
    std::vector<std::unique_ptr<rpc::Stage>> stages;
    stages.push_back(std::make_unique<TestAuthStage>());
    chain_ = std::make_unique<rpc::Chain>(std::move(stages));
    dispatcher_ =
        std::make_unique<rpc::Dispatcher>(rpc::Dispatcher{*chain_, runtime_.executor(), clock_});
    service_ = std::make_unique<MonitoringService>(
        MonitoringService::Deps{engine_, audit_, metrics_, *dispatcher_,
                                *page_token::PageTokens::Create("a secret of the tests")});
    cache_ = std::make_unique<FakeCache>(*dispatcher_);
    optimizer_ = std::make_unique<FakeOptimizer>(*dispatcher_);
    server_ = std::make_unique<rpc::Server>(rpc::ServerOptions{});
    server_->AddService(service_->grpc());
    server_->AddService(cache_.get());
    server_->AddService(optimizer_.get());
    EXPECT_TRUE(server_->Start().ok());
    server_->SetServing(true);
    peers_.channel = rpc::MakeChannel(server_->LocalAddress());
    stub_ = v1::MonitoringService::NewStub(peers_.channel);
  }
  ~MonitoringServiceTest() override {
    server_->Shutdown(absl::Seconds(2));
    scope_.Close();
  }

  template <class Q, class P>
  absl::Status Call(grpc::Status (v1::MonitoringService::Stub::*method)(grpc::ClientContext*,
                                                                        const Q&, P*),
                    const std::string& role, const Q& request, P* response) {
    grpc::ClientContext context;
    if (!role.empty()) context.AddMetadata("x-role", role);
    return rpc::FromGrpc(((*stub_).*method)(&context, request, response));
  }
  v1::ServiceHealth Ask(const std::string& service, absl::Duration timeout = absl::Seconds(10)) {
    Scraper scraper({peers_, engine_, clock_, metrics_, {}}, timeout);
    return AskWith(scraper, service);
  }
  v1::ServiceHealth AskWith(Scraper& scraper, const std::string& service) {
    std::promise<void> asked;
    scope_.Spawn([&]() -> Async<void> {
      co_await scraper.Ask(service);
      asked.set_value();
    });
    asked.get_future().get();
    const auto report = engine_.Health();
    for (const auto& health : report.services()) {
      if (health.name() == service) return health;
    }
    return {};
  }
  static v1::AuditEntry Entry(const std::string& user, v1::AuditEntry::Result result) {
    v1::AuditEntry out;
    out.set_user(user);
    out.set_action("slipstream.cache.v1.CacheService/Clear");
    out.set_result(result);
    out.set_service("cache");
    return out;
  }

  clock::SystemClock clock_;
  random::SeededRandom random_{7};
  metrics::Registry metrics_;
  async::Runtime runtime_{2};
  async::Scope scope_{runtime_.executor()};
  audit::MemoryAuditLog audit_{1000, clock_, random_};
  MonitoringEngine engine_{Scraper::Services(), clock_};
  FakePeers peers_;
  std::unique_ptr<rpc::Chain> chain_;
  std::unique_ptr<rpc::Dispatcher> dispatcher_;
  std::unique_ptr<MonitoringService> service_;
  std::unique_ptr<FakeCache> cache_;
  std::unique_ptr<FakeOptimizer> optimizer_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<v1::MonitoringService::Stub> stub_;
};

using Stub = v1::MonitoringService::Stub;

TEST_F(MonitoringServiceTest, HealthNeedsNoTokenAndTheOverviewAnAdmin) {
  v1::GetHealthResponse health;
  EXPECT_TRUE(Call(&Stub::GetHealth, "", v1::GetHealthRequest(), &health).ok());
  EXPECT_EQ(health.services_size(), 6);
  EXPECT_FALSE(health.version().empty());
  v1::GetOverviewResponse overview;
  EXPECT_EQ(Call(&Stub::GetOverview, "user", v1::GetOverviewRequest(), &overview).code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(Call(&Stub::GetOverview, "admin", v1::GetOverviewRequest(), &overview).ok());
}

TEST_F(MonitoringServiceTest, RecordedRequestsAreSummedUp) {
  v1::RecordRequestsRequest request;
  auto* record = request.add_records();
  record->set_service("billing");
  record->set_route("GET /invoices/{id}");
  record->set_http_status(200);
  record->set_duration_ms(12);
  v1::RecordRequestsResponse recorded;
  EXPECT_EQ(Call(&Stub::RecordRequests, "user", request, &recorded).code(),
            absl::StatusCode::kPermissionDenied);
  ASSERT_TRUE(Call(&Stub::RecordRequests, "service", request, &recorded).ok());
  EXPECT_EQ(recorded.accepted_count(), 1);
  v1::GetMetricsSummaryResponse summary;
  ASSERT_TRUE(
      Call(&Stub::GetMetricsSummary, "user", v1::GetMetricsSummaryRequest(), &summary).ok());
  ASSERT_EQ(summary.routes_size(), 1);
  EXPECT_EQ(summary.routes(0).route(), "GET /invoices/{id}");
  EXPECT_EQ(summary.total().requests_count(), 1);
  EXPECT_EQ(metrics::ValueOf(metrics_, "slipstream_monitoring_requests_recorded_total"), 1);
}

TEST_F(MonitoringServiceTest, LlmHealthOfTheOfflineDrafter) {
  v1::GetLlmHealthResponse health;
  ASSERT_TRUE(Call(&Stub::GetLlmHealth, "user", v1::GetLlmHealthRequest(), &health).ok());
  EXPECT_EQ(health.status(), v1::GetLlmHealthResponse::OFFLINE_DRAFTER);
  EXPECT_EQ(health.model(), "offline drafter");
}

TEST_F(MonitoringServiceTest, AuditEntriesOfOtherServicesAreListedByPageAndFilter) {
  v1::RecordAuditEntriesRequest request;
  for (int i = 0; i < 5; ++i) {
    *request.add_entries() = Entry(i % 2 ? "alice" : "bob", v1::AuditEntry::OK);
  }
  *request.add_entries() = Entry("alice", v1::AuditEntry::DENIED);
  request.mutable_entries(5)->set_entry_id("01890000-0000-7000-8000-000000000001");
  v1::RecordAuditEntriesResponse recorded;
  EXPECT_EQ(Call(&Stub::RecordAuditEntries, "user", request, &recorded).code(),
            absl::StatusCode::kPermissionDenied);
  ASSERT_TRUE(Call(&Stub::RecordAuditEntries, "service", request, &recorded).ok());
  EXPECT_EQ(recorded.appended_count(), 6);
  v1::RecordAuditEntriesRequest again;
  *again.add_entries() = request.entries(5);
  ASSERT_TRUE(Call(&Stub::RecordAuditEntries, "service", again, &recorded).ok());
  EXPECT_EQ(recorded.appended_count(), 0) << "its id is known";

  v1::ListAuditEntriesRequest list;
  list.set_page_size(2);
  v1::ListAuditEntriesResponse page;
  EXPECT_EQ(Call(&Stub::ListAuditEntries, "user", list, &page).code(),
            absl::StatusCode::kPermissionDenied);
  int pages_count = 0;
  std::vector<std::string> users;
  do {
    page.Clear();
    ASSERT_TRUE(Call(&Stub::ListAuditEntries, "admin", list, &page).ok());
    for (const auto& entry : page.entries()) users.push_back(entry.user());
    list.set_page_token(page.next_page_token());
    ++pages_count;
  } while (!page.next_page_token().empty() && pages_count < 10);
  EXPECT_EQ(users, (std::vector<std::string>{"alice", "bob", "alice", "bob", "alice", "bob"}));

  v1::ListAuditEntriesRequest denied;
  denied.set_user("alice");
  denied.set_result(v1::AuditEntry::DENIED);
  page.Clear();
  ASSERT_TRUE(Call(&Stub::ListAuditEntries, "admin", denied, &page).ok());
  ASSERT_EQ(page.entries_size(), 1);
  EXPECT_EQ(page.entries(0).entry_id(), "01890000-0000-7000-8000-000000000001");
}

TEST_F(MonitoringServiceTest, APageTokenOfAnotherListingIsRefused) {
  for (int i = 0; i < 3; ++i) audit_.Record({.user = "alice", .action = "a"});
  v1::ListAuditEntriesRequest list;
  list.set_page_size(1);
  v1::ListAuditEntriesResponse page;
  ASSERT_TRUE(Call(&Stub::ListAuditEntries, "admin", list, &page).ok());
  list.set_page_token(page.next_page_token());
  list.set_user("bob");
  const absl::Status status = Call(&Stub::ListAuditEntries, "admin", list, &page);
  ASSERT_EQ(status::FieldViolations(status).size(), 1u) << status;
  EXPECT_EQ(status::FieldViolations(status)[0].field, "page_token");
}

TEST_F(MonitoringServiceTest, AuditEntriesAreChecked) {
  v1::RecordAuditEntriesRequest request;
  v1::RecordAuditEntriesResponse recorded;
  EXPECT_EQ(Call(&Stub::RecordAuditEntries, "service", request, &recorded).code(),
            absl::StatusCode::kInvalidArgument);
  *request.add_entries() = Entry("alice", v1::AuditEntry::RESULT_UNSPECIFIED);
  const absl::Status status = Call(&Stub::RecordAuditEntries, "service", request, &recorded);
  ASSERT_EQ(status::FieldViolations(status).size(), 1u) << status;
  EXPECT_EQ(status::FieldViolations(status)[0].field, "entries[0].result");
}

TEST_F(MonitoringServiceTest, AHealthyCacheGivesItsFigures) {
  cache_->stats.mutable_total()->set_hits_count(8);
  cache_->stats.mutable_total()->set_stale_count(1);
  cache_->stats.mutable_total()->set_misses_count(3);
  auto* tier = cache_->stats.add_tiers();
  tier->set_entries_count(42);
  tier->set_bytes(4242);
  const auto health = Ask("cache");
  EXPECT_EQ(health.status(), Health::HEALTHY) << health.message();
  EXPECT_TRUE(health.has_since());
  v1::GetOverviewResponse overview;
  ASSERT_TRUE(Call(&Stub::GetOverview, "admin", v1::GetOverviewRequest(), &overview).ok());
  EXPECT_EQ(overview.cache().hits_count(), 9);
  EXPECT_EQ(overview.cache().misses_count(), 3);
  EXPECT_EQ(overview.cache().entries_count(), 42);
  EXPECT_EQ(overview.cache().used_bytes(), 4242);
  EXPECT_EQ(metrics::ValueOf(metrics_, "slipstream_monitoring_service_status{service=\"cache\"}"),
            1);
}

TEST_F(MonitoringServiceTest, ADegradedCacheIsDegraded) {
  cache_->stats.set_degraded(true);
  EXPECT_EQ(Ask("cache").status(), Health::DEGRADED);
}

TEST_F(MonitoringServiceTest, MessagesNameNoAddress) {
  cache_->status = absl::InternalError("redis at 10.1.2.3:6379 broke");
  const auto health = Ask("cache");
  EXPECT_EQ(health.status(), Health::DEGRADED);
  EXPECT_EQ(health.message().find("10.1.2.3"), std::string::npos) << health.message();
}

TEST_F(MonitoringServiceTest, WithoutPostgresTheOptimizerIsNotConfigured) {
  optimizer_->status =
      status::Error(absl::StatusCode::kUnavailable, "POSTGRES_NOT_CONFIGURED", "none");
  EXPECT_EQ(Ask("database_optimizer").status(), Health::NOT_CONFIGURED);
  optimizer_->status =
      status::Error(absl::StatusCode::kUnavailable, "POSTGRES_UNREACHABLE", "gone");
  EXPECT_EQ(Ask("database_optimizer").status(), Health::UNAVAILABLE);
}

TEST_F(MonitoringServiceTest, AnUnconfiguredOptimizerIsAskedForFiguresOnceAMinute) {
  optimizer_->status =
      status::Error(absl::StatusCode::kUnavailable, "POSTGRES_NOT_CONFIGURED", "none");
  clock::FakeClock clock;
  Scraper scraper({peers_, engine_, clock, metrics_, {}}, absl::Seconds(10));
  const auto ask = [&] { return AskWith(scraper, "database_optimizer").status(); };
  EXPECT_EQ(ask(), Health::NOT_CONFIGURED);
  optimizer_->status = absl::OkStatus();
  EXPECT_EQ(ask(), Health::NOT_CONFIGURED);
  clock.Advance(absl::Minutes(1));
  EXPECT_EQ(ask(), Health::HEALTHY);
  optimizer_->status =
      status::Error(absl::StatusCode::kUnavailable, "POSTGRES_NOT_CONFIGURED", "none");
  EXPECT_EQ(ask(), Health::NOT_CONFIGURED);
  optimizer_->status = absl::OkStatus();
  server_->SetServing(false);
  EXPECT_EQ(ask(), Health::UNAVAILABLE);
  server_->SetServing(true);
  EXPECT_EQ(ask(), Health::HEALTHY) << "it has restarted, so it may be configured now";
}

TEST_F(MonitoringServiceTest, AServerThatDrainsOrIsGoneIsUnavailable) {
  EXPECT_EQ(Ask("worker").status(), Health::HEALTHY);
  server_->SetServing(false);
  auto health = Ask("worker");
  EXPECT_EQ(health.status(), Health::UNAVAILABLE);
  EXPECT_EQ(health.message(), "answers that it does not serve: it starts or ends");
  server_->Shutdown(absl::ZeroDuration());
  health = Ask("worker", absl::Seconds(2));
  EXPECT_EQ(health.status(), Health::UNAVAILABLE);
  EXPECT_EQ(health.message().find("127.0.0.1"), std::string::npos) << health.message();
}

}  // namespace
}  // namespace slipstream::monitoring
