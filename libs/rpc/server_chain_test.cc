// The composed chain, stage by stage, without gRPC.
#include "libs/rpc/server_chain.h"

#include <memory>

#include "gtest/gtest.h"
#include "libs/audit/memory_audit_log.h"
#include "libs/auth/key_set.h"
#include "libs/auth/token_issuer.h"
#include "libs/clock/fake_clock.h"
#include "libs/rpc/method.h"
#include "libs/status/status.h"
#include "slipstream/notification/v1/notification.pb.h"

namespace slipstream::rpc {
namespace {

constexpr char kSecret[] = "a-secret-of-more-than-thirty-two-bytes-for-tests";

class ServerChainTest : public testing::Test {
 protected:
  ServerChainTest() {
    // The table must be linked in although only its descriptor is used.
    (void)slipstream::notification::v1::Event::descriptor();
    methods_ = std::make_unique<MethodTable>(
        *MethodTable::ForService("slipstream.notification.v1.NotificationService"));
    keys_ = *auth::KeySet::FromText(kSecret);
    permissions_ = std::make_unique<auth::PermissionMap>(*auth::PermissionMap::Create());
    authenticator_ = std::make_unique<auth::Authenticator>(auth::AuthenticatorOptions{}, *keys_,
                                                           *permissions_, clock_);
    chain_ = std::make_unique<Chain>(MakeServerChain({.clock = clock_,
                                                      .random = random_,
                                                      .authenticator = *authenticator_,
                                                      .permissions = *permissions_,
                                                      .metrics = metrics_,
                                                      .logger = logging::Logger(),
                                                      .audit = audit_,
                                                      .service = "test",
                                                      .max_inflight_count = 2}));
  }

  std::string Token(const std::string& user, std::vector<std::string> roles) {
    auth::TokenIssuer issuer({}, *keys_, clock_);
    auth::TokenRequest request;
    request.user = user;
    request.roles = std::move(roles);
    return "Bearer " + *issuer.Issue(request);
  }

  std::unique_ptr<CallContext> Call(std::string_view method,
                                    std::map<std::string, std::string, std::less<>> metadata) {
    auto call = std::make_unique<CallContext>(
        (*methods_)[method], std::make_unique<MapMetadata>(std::move(metadata), "peer"));
    call->set_started_at(clock_.Now());
    return call;
  }

  clock::FakeClock clock_;
  random::SeededRandom random_{1};
  metrics::Registry metrics_;
  audit::MemoryAuditLog audit_{100, clock_, random_};
  std::unique_ptr<MethodTable> methods_;
  std::unique_ptr<auth::KeySet> keys_;
  std::unique_ptr<auth::PermissionMap> permissions_;
  std::unique_ptr<auth::Authenticator> authenticator_;
  std::unique_ptr<Chain> chain_;
};

TEST_F(ServerChainTest, TheOrderIsTheDocumentedOne) {
  EXPECT_EQ(chain_->StageNames(),
            (std::vector<std::string_view>{"trace", "auth", "permission", "limits", "metrics",
                                           "logging", "audit", "deadline"}));
}

TEST_F(ServerChainTest, WithoutATokenTheCallIsRefusedAndCounted) {
  auto call = Call("GetPresence", {});
  const absl::Status status = chain_->Begin(*call);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
  chain_->End(*call, status);
  EXPECT_EQ(metrics::ValueOf(
                metrics_,
                "grpc_server_handled_total{grpc_type=\"unary\",grpc_service=\"slipstream."
                "notification.v1.NotificationService\",grpc_method=\"GetPresence\",grpc_code="
                "\"Unauthenticated\"}"),
            1);
}

TEST_F(ServerChainTest, AUserMayNotBroadcastAndTheDenialIsAudited) {
  auto call = Call("Broadcast", {{"authorization", Token("alice", {"user"})}});
  const absl::Status status = chain_->Begin(*call);
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  chain_->End(*call, status);
  const auto entries = audit_.List({}).entries;
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].user, "alice");
  EXPECT_EQ(entries[0].result, audit::Result::kDenied);
}

TEST_F(ServerChainTest, ADenialIsAuditedAlsoOfAMethodThatIsNot) {
  auto call = Call("Publish", {{"authorization", Token("alice", {"user"})}});
  ASSERT_FALSE(call->method().audited);
  const absl::Status status = chain_->Begin(*call);
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  chain_->End(*call, status);
  ASSERT_EQ(audit_.List({}).entries.size(), 1u);
  auto taken = Call("GetPresence", {{"authorization", Token("alice", {"user"})}});
  ASSERT_TRUE(chain_->Begin(*taken).ok());
  chain_->End(*taken, absl::OkStatus());
  EXPECT_EQ(audit_.List({}).entries.size(), 1u);
}

TEST_F(ServerChainTest, AnAdminsCallIsAuditedWithItsTarget) {
  auto call = Call("Broadcast", {{"authorization", Token("root", {"admin"})}});
  ASSERT_TRUE(chain_->Begin(*call).ok());
  call->set_audit("broadcast", "", "maintenance");
  chain_->End(*call, absl::OkStatus());
  const auto entries = audit_.List({}).entries;
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].target, "broadcast");
  EXPECT_EQ(entries[0].result, audit::Result::kOk);
}

TEST_F(ServerChainTest, OverTheLimitIsRefusedWithADelayAndRoomComesBack) {
  const std::string token = Token("alice", {"user"});
  auto first = Call("GetPresence", {{"authorization", token}});
  auto second = Call("GetPresence", {{"authorization", token}});
  auto third = Call("GetPresence", {{"authorization", token}});
  ASSERT_TRUE(chain_->Begin(*first).ok());
  ASSERT_TRUE(chain_->Begin(*second).ok());
  const absl::Status status = chain_->Begin(*third);
  EXPECT_EQ(status::Reason(status), "OVERLOADED");
  EXPECT_TRUE(status::RetryAfter(status).has_value());
  chain_->End(*third, status);
  chain_->End(*first, absl::OkStatus());
  auto fourth = Call("GetPresence", {{"authorization", token}});
  EXPECT_TRUE(chain_->Begin(*fourth).ok());
  // Room for one more would mean that the refused call gave back a place it never had.
  auto fifth = Call("GetPresence", {{"authorization", token}});
  EXPECT_FALSE(chain_->Begin(*fifth).ok());
}

TEST_F(ServerChainTest, TraceAndCorrelationIdAreTakenOrMade) {
  const std::string token = Token("alice", {"user"});
  auto given = Call("GetPresence",
                    {{"authorization", token},
                     {"x-request-id", "req-1"},
                     {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}});
  ASSERT_TRUE(chain_->Begin(*given).ok());
  EXPECT_EQ(given->correlation_id(), "req-1");
  EXPECT_EQ(given->trace().trace_id, "0af7651916cd43dd8448eb211c80319c");
  auto hostile = Call("GetPresence", {{"authorization", token}, {"x-request-id", "a\nb"}});
  ASSERT_TRUE(chain_->Begin(*hostile).ok());
  EXPECT_EQ(hostile->correlation_id().size(), 36u);
}

TEST_F(ServerChainTest, TheCorrelationIdIsReturnedWithAFailure) {
  const std::string token = Token("alice", {"user"});
  const auto trailers = [&](std::map<std::string, std::string, std::less<>> metadata,
                            const absl::Status& status) {
    auto call = Call("GetPresence", std::move(metadata));
    EXPECT_TRUE(chain_->Begin(*call).ok());
    chain_->End(*call, status);
    return call->trailers();
  };
  EXPECT_TRUE(trailers({{"authorization", token}}, absl::OkStatus()).empty());
  const absl::Status gone = absl::NotFoundError("gone");
  const auto given = trailers({{"authorization", token}, {"x-request-id", "req-1"}}, gone);
  ASSERT_EQ(given.size(), 1u);
  EXPECT_EQ(given[0], (std::pair<std::string, std::string>("x-request-id", "req-1")));
  const auto made = trailers({{"authorization", token}, {"x-request-id", "a\nb"}}, gone);
  ASSERT_EQ(made.size(), 1u);
  EXPECT_EQ(made[0].second.size(), 36u);
}

TEST_F(ServerChainTest, ACallHasOneTraceAndOneIdHoweverOftenItIsAsked) {
  auto call = Call("GetPresence", {{"authorization", Token("alice", {"user"})}});
  ASSERT_TRUE(chain_->Begin(*call).ok());
  const trace::TraceContext trace = call->trace();
  const std::string id = call->correlation_id();
  EXPECT_EQ(trace.trace_id.size(), 32u);
  EXPECT_EQ(call->trace(), trace);
  EXPECT_EQ(call->correlation_id(), id);
  chain_->End(*call, absl::NotFoundError("gone"));
  EXPECT_EQ(call->trailers()[0].second, id);
}

TEST_F(ServerChainTest, DeadlinesArePassedOnMadeOrRefused) {
  const std::string token = Token("alice", {"user"});
  auto without = Call("GetPresence", {{"authorization", token}});
  ASSERT_TRUE(chain_->Begin(*without).ok());
  EXPECT_LT(without->deadline(), absl::InfiniteFuture());
  auto late = Call("GetPresence", {{"authorization", token}});
  late->set_deadline(clock_.Now() - absl::Milliseconds(1));
  EXPECT_EQ(chain_->Begin(*late).code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(ServerChainTest, OnlyAServiceMayActForAUser) {
  auto service = Call("Publish", {{"authorization", Token("queue", {"service"})},
                                  {"x-slipstream-act-as-user", "alice"}});
  // Acting for alice, the caller has alice's permissions, and she may not publish.
  EXPECT_EQ(chain_->Begin(*service).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(service->principal().user, "alice");
  EXPECT_EQ(service->principal().acting_service, "queue");
  auto user = Call("GetPresence", {{"authorization", Token("bob", {"user"})},
                                   {"x-slipstream-act-as-user", "alice"}});
  EXPECT_EQ(status::Reason(chain_->Begin(*user)), "ACT_AS_REFUSED");
}

}  // namespace
}  // namespace slipstream::rpc
