// The service over a real server and channel on loopback, with the permissions as shipped; only the
// token's verification is replaced, by plain metadata.
#include "services/cache/cache_service.h"

#include <grpcpp/grpcpp.h>

#include <future>
#include <memory>
#include <thread>

#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/auth/permissions.h"
#include "libs/clock/clock.h"
#include "libs/random/random.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/server.h"
#include "libs/rpc/status_convert.h"
#include "libs/status/status.h"
#include "services/cache/cache_metrics.h"
#include "services/cache/local_cache_store.h"
#include "slipstream/cache/v1/cache.grpc.pb.h"

namespace slipstream::cache {
namespace {

class TestAuthStage final : public rpc::Stage {
 public:
  std::string_view name() const override { return "auth"; }
  absl::Status Begin(rpc::CallContext& call) override {
    auto who = std::make_shared<auth::Principal>();
    who->user = call.metadata("x-user");
    who->tenant = call.metadata("x-tenant");
    who->roles = {std::string(call.metadata("x-role"))};
    call.set_principal(who);
    return permissions_.Check(*who, call.method().permission);
  }
  void End(rpc::CallContext& call, const absl::Status&) override {
    sync::MutexLock lock(mutex_);
    if (call.method().audited) audited_ = call.audit_target() + ": " + call.audit_after();
  }
  std::string audited() {
    sync::MutexLock lock(mutex_);
    return audited_;
  }

  const auth::PermissionMap& permissions() const { return permissions_; }

 private:
  const auth::PermissionMap permissions_ = *auth::PermissionMap::Create();
  sync::Mutex mutex_;
  std::string audited_ ABSL_GUARDED_BY(mutex_);
};

struct Caller {
  std::string user = "alice";
  std::string role = "user";
  std::string tenant = "acme";
};

class CacheServiceTest : public testing::Test {
 protected:
  CacheServiceTest() {
    auto auth = std::make_unique<TestAuthStage>();
    auth_ = auth.get();
    std::vector<std::unique_ptr<rpc::Stage>> stages;
    stages.push_back(std::move(auth));
    chain_ = std::make_unique<rpc::Chain>(std::move(stages));
    dispatcher_ =
        std::make_unique<rpc::Dispatcher>(rpc::Dispatcher{*chain_, runtime_.executor(), clock_});
    service_ = std::make_unique<CacheService>(
        engine_, *dispatcher_, CacheServiceOptions{.permissions = &auth_->permissions()});
    server_ = std::make_unique<rpc::Server>(rpc::ServerOptions{});
    server_->AddService(service_->grpc());
    EXPECT_TRUE(server_->Start().ok());
    server_->SetServing(true);
    channel_ = rpc::MakeChannel(server_->LocalAddress());
    stub_ = v1::CacheService::NewStub(channel_);
  }
  ~CacheServiceTest() override { server_->Shutdown(absl::Seconds(2)); }

  static v1::CacheKey Key(const std::string& text, v1::CacheKey::Scope scope = v1::CacheKey::USER) {
    v1::CacheKey out;
    out.set_namespace_("shop");
    out.set_type(v1::CacheKey::LLM_RESPONSE);
    out.set_scope(scope);
    out.set_key(text);
    return out;
  }

  // One call as `who`; the status as the suite's.
  template <class Request, class Response>
  absl::Status Call(grpc::Status (v1::CacheService::Stub::*method)(grpc::ClientContext*,
                                                                   const Request&, Response*),
                    const Request& request, Response* response, const Caller& who = {}) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    context.AddMetadata("x-user", who.user);
    context.AddMetadata("x-role", who.role);
    context.AddMetadata("x-tenant", who.tenant);
    response->Clear();
    return rpc::FromGrpc((stub_.get()->*method)(&context, request, response));
  }

  absl::Status Set(const v1::CacheKey& key, const std::string& value, const Caller& who = {}) {
    v1::SetRequest request;
    *request.mutable_key() = key;
    request.set_value(value);
    v1::SetResponse response;
    return Call(&v1::CacheService::Stub::Set, request, &response, who);
  }
  std::string Get(const v1::CacheKey& key, const Caller& who = {}) {
    v1::GetRequest request;
    *request.mutable_key() = key;
    v1::GetResponse response;
    const absl::Status status = Call(&v1::CacheService::Stub::Get, request, &response, who);
    if (!status.ok()) return std::string(status.message());
    return v1::GetResponse::Result_Name(response.result()) + " " + response.value().value();
  }
  v1::CacheStats Stats(const std::string& space = "") {
    v1::GetStatsRequest request;
    request.set_namespace_(space);
    v1::CacheStats out;
    EXPECT_TRUE(Call(&v1::CacheService::Stub::GetStats, request, &out).ok());
    return out;
  }
  v1::GetOrLeaseResponse Lease(const std::string& text, int wait_ms = 0, int lease_ms = 0) {
    v1::GetOrLeaseRequest request;
    *request.mutable_key() = Key(text);
    request.set_wait_ms(wait_ms);
    request.set_lease_ms(lease_ms);
    v1::GetOrLeaseResponse response;
    EXPECT_TRUE(Call(&v1::CacheService::Stub::GetOrLease, request, &response).ok());
    return response;
  }
  static std::string FieldOf(const absl::Status& status) {
    const auto violations = status::FieldViolations(status);
    return violations.empty() ? status.ToString() : violations[0].field;
  }

  clock::SystemClock clock_;
  random::SystemRandom random_;
  async::Runtime runtime_{2};
  LocalCacheStore store_{{}, 7, "e1"};
  CacheEngine engine_{{store_, clock_, random_}, {}};
  TestAuthStage* auth_ = nullptr;
  std::unique_ptr<rpc::Chain> chain_;
  std::unique_ptr<rpc::Dispatcher> dispatcher_;
  std::unique_ptr<CacheService> service_;
  std::unique_ptr<rpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::CacheService::Stub> stub_;
};

TEST_F(CacheServiceTest, StoresReadsAndDeletes) {
  EXPECT_EQ(Get(Key("k")), "MISS ");
  ASSERT_TRUE(Set(Key("k"), std::string("a\0b", 3)).ok());
  EXPECT_EQ(Get(Key("k")), std::string("HIT a\0b", 7));
  v1::DeleteRequest request;
  *request.mutable_key() = Key("k");
  v1::DeleteResponse response;
  ASSERT_TRUE(Call(&v1::CacheService::Stub::Delete, request, &response).ok());
  EXPECT_TRUE(response.existed());
  EXPECT_EQ(Get(Key("k")), "MISS ");
}

TEST_F(CacheServiceTest, TheTokenDecidesWhoseEntryItIs) {
  const Caller bob{"bob"}, root{"root", "admin"};
  ASSERT_TRUE(Set(Key("k"), "bob's", bob).ok());
  auto admins = Key("k", v1::CacheKey::ROLE);
  admins.set_role("admin");
  ASSERT_TRUE(Set(admins, "the admins'", root).ok());
  EXPECT_EQ(Get(Key("k")), "MISS ");
  EXPECT_EQ(Get(Key("k"), bob), "HIT bob's");
  EXPECT_EQ(Get(admins, root), "HIT the admins'");
  v1::GetRequest request;
  *request.mutable_key() = admins;
  v1::GetResponse response;
  EXPECT_EQ(Call(&v1::CacheService::Stub::Get, request, &response).code(),
            absl::StatusCode::kPermissionDenied);
  ASSERT_TRUE(Set(Key("k", v1::CacheKey::TENANT), "acme's", {"carol", "tenant_admin"}).ok());
  EXPECT_EQ(Get(Key("k", v1::CacheKey::TENANT)), "HIT acme's");
  EXPECT_EQ(Get(Key("k", v1::CacheKey::TENANT), {"eve", "user", "umbrella"}), "MISS ");
}

TEST_F(CacheServiceTest, BadRequestsNameTheField) {
  v1::SetRequest set;
  v1::SetResponse response;
  const auto field = [&] { return FieldOf(Call(&v1::CacheService::Stub::Set, set, &response)); };
  EXPECT_EQ(field(), "key.namespace");
  *set.mutable_key() = Key("");
  EXPECT_EQ(field(), "key.key");
  *set.mutable_key() = Key("k");
  set.mutable_options()->set_ttl_ms(0);
  EXPECT_EQ(field(), "options.ttl_ms");
  set.clear_options();
  set.set_value(std::string((1 << 20) + 1, 'x'));
  EXPECT_EQ(field(), "value");
  v1::GetManyRequest many;
  v1::GetManyResponse results;
  EXPECT_EQ(FieldOf(Call(&v1::CacheService::Stub::GetMany, many, &results)), "keys");
  for (int i = 0; i < 257; ++i) *many.add_keys() = Key("k");
  EXPECT_EQ(FieldOf(Call(&v1::CacheService::Stub::GetMany, many, &results)), "keys");
  v1::InvalidateRequest invalidate;
  v1::InvalidateResponse done;
  EXPECT_EQ(FieldOf(Call(&v1::CacheService::Stub::Invalidate, invalidate, &done)), "target");
  invalidate.set_glob("[");
  EXPECT_EQ(FieldOf(Call(&v1::CacheService::Stub::Invalidate, invalidate, &done)), "glob");
}

TEST_F(CacheServiceTest, BatchesAnswerInOrder) {
  v1::SetManyRequest set;
  for (const char* text : {"a", "b", "c"}) {
    auto* entry = set.add_entries();
    *entry->mutable_key() = Key(text);
    entry->set_value(text);
  }
  set.mutable_entries(1)->mutable_key()->clear_key();
  v1::SetManyResponse stored;
  ASSERT_TRUE(Call(&v1::CacheService::Stub::SetMany, set, &stored).ok());
  ASSERT_EQ(stored.results_size(), 3);
  EXPECT_EQ(stored.results(0).version(), 1u);
  EXPECT_EQ(stored.results(1).version(), 0u);
  EXPECT_EQ(stored.results(1).reason(), "INVALID_FIELD");
  EXPECT_NE(stored.results(1).message().find("entries[1].key.key"), std::string::npos);
  EXPECT_EQ(stored.results(2).version(), 1u);
  v1::GetManyRequest get;
  for (const char* text : {"c", "b", "a"}) *get.add_keys() = Key(text);
  v1::GetManyResponse found;
  ASSERT_TRUE(Call(&v1::CacheService::Stub::GetMany, get, &found).ok());
  ASSERT_EQ(found.results_size(), 3);
  EXPECT_EQ(found.results(0).value().value(), "c");
  EXPECT_EQ(found.results(1).result(), v1::GetResponse::MISS);
  EXPECT_EQ(found.results(2).value().value(), "a");
}

TEST_F(CacheServiceTest, AnAnswerTooLargeForAMessageIsAClearError) {
  v1::GetManyRequest get;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(Set(Key(std::to_string(i)), std::string(1 << 20, 'x')).ok());
    *get.add_keys() = Key(std::to_string(i));
  }
  v1::GetManyResponse found;
  const absl::Status refused = Call(&v1::CacheService::Stub::GetMany, get, &found);
  EXPECT_EQ(status::Reason(refused), "RESPONSE_TOO_LARGE") << refused;
}

TEST_F(CacheServiceTest, InvalidatesByKeyTagNamespaceAndGlob) {
  v1::SetRequest set;
  *set.mutable_key() = Key("tagged");
  set.mutable_options()->add_tags("red");
  v1::SetResponse stored;
  ASSERT_TRUE(Call(&v1::CacheService::Stub::Set, set, &stored).ok());
  const auto invalidate = [&](const v1::InvalidateRequest& request) {
    v1::InvalidateResponse response;
    const absl::Status status = Call(&v1::CacheService::Stub::Invalidate, request, &response);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(response.position().substr(0, 3), "e1:");
    EXPECT_EQ(response.confirmed_nodes_count(), 1);
  };
  v1::InvalidateRequest request;
  request.mutable_tag()->set_namespace_("shop");
  request.mutable_tag()->set_tag("red");
  invalidate(request);
  EXPECT_EQ(Get(Key("tagged")), "MISS ");

  ASSERT_TRUE(Set(Key("k"), "v").ok());
  *request.mutable_key() = Key("k");
  invalidate(request);
  EXPECT_EQ(Get(Key("k")), "MISS ");

  ASSERT_TRUE(Set(Key("k"), "v").ok());
  request.set_namespace_("shop");
  invalidate(request);
  EXPECT_EQ(Get(Key("k")), "MISS ");

  ASSERT_TRUE(Set(Key("a/1"), "v").ok());
  ASSERT_TRUE(Set(Key("b/1"), "v").ok());
  request.set_glob("shop/llm_response/a/*");
  invalidate(request);
  EXPECT_EQ(Get(Key("a/1")), "MISS ");
  EXPECT_EQ(Get(Key("b/1")), "HIT v");
}

TEST_F(CacheServiceTest, ClearIsForAdminsAndAudited) {
  ASSERT_TRUE(Set(Key("k"), "alice's").ok());
  ASSERT_TRUE(Set(Key("k"), "bob's", {"bob"}).ok());
  v1::ClearRequest request;
  request.set_pattern("*");
  v1::ClearResponse response;
  EXPECT_EQ(Call(&v1::CacheService::Stub::Clear, request, &response).code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Get(Key("k")), "HIT alice's");
  ASSERT_TRUE(Call(&v1::CacheService::Stub::Clear, request, &response, {"root", "admin"}).ok());
  EXPECT_EQ(response.cleared_count(), 2);
  EXPECT_EQ(auth_->audited(), "cache entries matching *: 2 cleared");
  EXPECT_EQ(Get(Key("k")), "MISS ");
  request.clear_pattern();
  EXPECT_EQ(FieldOf(Call(&v1::CacheService::Stub::Clear, request, &response, {"root", "admin"})),
            "pattern");
}

TEST_F(CacheServiceTest, ManyCallersOneComputes) {
  constexpr int kCallers = 16;
  std::atomic<int> computed{0}, right{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kCallers; ++i) {
    threads.emplace_back([&] {
      const v1::GetOrLeaseResponse answer = Lease("k", 15'000);
      if (answer.result() == v1::GetOrLeaseResponse::LEASED) {
        ++computed;
        EXPECT_EQ(answer.lease_ms(), 10'000);
        v1::FillRequest fill;
        *fill.mutable_key() = Key("k");
        fill.set_lease_token(answer.lease_token());
        fill.set_value("computed");
        v1::FillResponse filled;
        EXPECT_TRUE(Call(&v1::CacheService::Stub::Fill, fill, &filled).ok());
        EXPECT_TRUE(filled.stored());
        ++right;
      } else if (answer.result() == v1::GetOrLeaseResponse::HIT &&
                 answer.value().value() == "computed") {
        ++right;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(computed, 1);
  EXPECT_EQ(right, kCallers);
}

TEST_F(CacheServiceTest, AWaitEndsAndALeaseRunsOut) {
  ASSERT_EQ(Lease("k").result(), v1::GetOrLeaseResponse::LEASED);
  EXPECT_EQ(Lease("k").result(), v1::GetOrLeaseResponse::BUSY);
  EXPECT_EQ(Lease("k", 20).result(), v1::GetOrLeaseResponse::BUSY);
  ASSERT_EQ(Lease("short", 0, 100).result(), v1::GetOrLeaseResponse::LEASED);
  EXPECT_EQ(Lease("short", 15'000).result(), v1::GetOrLeaseResponse::LEASED)
      << "the holder is gone, the next one computes";
}

TEST_F(CacheServiceTest, StatsAndMetricsSayTheSame) {
  metrics::Registry registry;
  const auto registration = AddCacheMetrics(registry, engine_);
  ASSERT_TRUE(Set(Key("k"), "v").ok());
  Get(Key("k"));
  Get(Key("k"));
  Get(Key("none"));
  const v1::CacheStats stats = Stats();
  EXPECT_EQ(stats.total().hits_count(), 2);
  EXPECT_EQ(stats.total().misses_count(), 1);
  EXPECT_DOUBLE_EQ(stats.total().hit_ratio(), 2.0 / 3);
  ASSERT_EQ(stats.types_size(), 7);
  EXPECT_EQ(stats.types(3).type(), v1::CacheKey::LLM_RESPONSE);
  EXPECT_EQ(stats.types(3).counters().hits_count(), 2);
  EXPECT_EQ(stats.types(3).l1_entries_count(), 1);
  ASSERT_EQ(stats.namespaces_size(), 1);
  EXPECT_EQ(stats.namespaces(0).namespace_(), "shop");
  EXPECT_GT(stats.namespaces(0).l1_bytes(), 0);
  EXPECT_GT(stats.tiers(0).read_p99_us(), 0);
  EXPECT_EQ(stats.policy(), "adaptive");
  EXPECT_EQ(Stats("other").total().hits_count(), 0);
  EXPECT_EQ(metrics::ValueOf(registry,
                             "slipstream_cache_reads_total{type=\"llm_response\",result=\"hit\"}"),
            2);
}

TEST_F(CacheServiceTest, AWatchTellsWhatTheCallerMaySeeAndGoesOn) {
  const auto watch = [this](grpc::ClientContext& context, const std::string& position) {
    context.AddMetadata("x-user", "alice");
    context.AddMetadata("x-role", "user");
    context.AddMetadata("x-tenant", "acme");
    v1::WatchRequest request;
    request.set_position(position);
    return stub_->Watch(&context, request);
  };
  const auto invalidate = [this](const v1::CacheKey& key, const Caller& who) {
    v1::InvalidateRequest request;
    *request.mutable_key() = key;
    v1::InvalidateResponse response;
    EXPECT_TRUE(Call(&v1::CacheService::Stub::Invalidate, request, &response, who).ok());
    return response.position();
  };
  const std::string begin = invalidate(Key("first"), {});
  invalidate(Key("bob's"), {.user = "bob"});
  invalidate(Key("mine"), {});
  v1::Invalidation message;
  {
    grpc::ClientContext context;
    const auto reader = watch(context, begin);
    ASSERT_TRUE(reader->Read(&message));
    EXPECT_EQ(message.key().key(), "mine") << "and not bob's";
    invalidate(Key("later"), {});
    ASSERT_TRUE(reader->Read(&message));
    EXPECT_EQ(message.key().key(), "later");
    context.TryCancel();
    reader->Finish();
  }
  const std::string last = message.position();
  invalidate(Key("while away"), {});
  {
    grpc::ClientContext context;
    const auto reader = watch(context, last);
    ASSERT_TRUE(reader->Read(&message));
    EXPECT_EQ(message.key().key(), "while away");
    store_.watch_log().Close();
    EXPECT_FALSE(reader->Read(&message));
    EXPECT_EQ(status::Reason(rpc::FromGrpc(reader->Finish())), "DRAINING");
  }
}

TEST_F(CacheServiceTest, AWatchFromAnUnknownPositionBeginsWithAReset) {
  grpc::ClientContext context;
  context.AddMetadata("x-user", "alice");
  context.AddMetadata("x-role", "user");
  v1::WatchRequest request;
  request.set_position("another-life:3");
  const auto reader = stub_->Watch(&context, request);
  v1::Invalidation message;
  ASSERT_TRUE(reader->Read(&message));
  EXPECT_TRUE(message.reset());
  EXPECT_EQ(message.position(), store_.watch_log().Head());
  context.TryCancel();
  reader->Finish();
}

}  // namespace
}  // namespace slipstream::cache
