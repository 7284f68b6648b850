// The whole service over a real server on loopback: tokens, streams, resume, drain.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "libs/auth/key_set.h"
#include "libs/auth/token_issuer.h"
#include "libs/clock/clock.h"
#include "libs/config/load.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/status_convert.h"
#include "libs/service/process.h"
#include "libs/status/status.h"
#include "services/notification/notification_module.h"
#include "slipstream/notification/v1/notification.grpc.pb.h"

namespace slipstream::notification {
namespace {

constexpr char kSecret[] = "a-secret-of-more-than-thirty-two-bytes-for-tests";

config::v1::Config TestConfig() {
  config::v1::Config config = config::DefaultConfig();
  config.mutable_notification()->set_grpc_address("127.0.0.1:0");
  config.mutable_notification()->set_http_address("127.0.0.1:0");
  config.mutable_logging()->set_level(config::v1::LoggingConfig::ERROR);
  config.mutable_rpc()->set_drain_grace_ms(10'000);
  const std::string path = testing::TempDir() + "/notification_secret";
  std::ofstream(path) << kSecret;
  config.mutable_auth()->set_hs256_secret_file(path);
  return config;
}

std::unique_ptr<grpc::ClientContext> Context(const std::string& token) {
  auto context = std::make_unique<grpc::ClientContext>();
  if (!token.empty()) context->AddMetadata("authorization", "Bearer " + token);
  // A hang fails the test and not the machine.
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  return context;
}

// A Subscribe call of one user.
struct Subscription {
  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<grpc::ClientReader<v1::Event>> reader;

  v1::Event Next() {
    v1::Event event;
    if (!reader->Read(&event)) event.set_type("ended");
    return event;
  }
  absl::Status Finish() { return rpc::FromGrpc(reader->Finish()); }
};

class NotificationServiceTest : public testing::Test {
 protected:
  NotificationServiceTest() {
    const absl::Status started = process_->Start({MakeNotificationModule});
    EXPECT_TRUE(started.ok()) << started;
    channel_ = rpc::MakeChannel("127.0.0.1:" + std::to_string(process_->grpc_port()));
    stub_ = v1::NotificationService::NewStub(channel_);
  }

  std::string Token(const std::string& user, std::vector<std::string> roles = {"user"},
                    const std::string& tenant = "") {
    auth::TokenRequest request;
    request.user = user;
    request.roles = std::move(roles);
    request.tenant = tenant;
    return *auth::TokenIssuer({}, *keys_, clock_).Issue(request);
  }
  std::string ServiceToken() { return Token("task_queue", {"service"}); }

  static v1::PublishRequest Request(const std::string& channel, const std::string& text,
                                    const std::string& type = "system_alert",
                                    const std::string& task_id = "") {
    v1::PublishRequest request;
    request.set_channel(channel);
    request.set_type(type);
    request.set_task_id(task_id);
    (*request.mutable_payload()->mutable_fields())["text"].set_string_value(text);
    return request;
  }
  absl::Status Publish(const v1::PublishRequest& request, const std::string& token,
                       v1::PublishResponse* response = nullptr) {
    v1::PublishResponse unused;
    return rpc::FromGrpc(
        stub_->Publish(Context(token).get(), request, response == nullptr ? &unused : response));
  }
  Subscription Open(const std::string& token, const std::string& cursor = "",
                    const std::string& last_event_id = "") {
    Subscription out;
    out.context = Context(token);
    v1::SubscribeRequest request;
    request.set_cursor(cursor);
    request.set_last_event_id(last_event_id);
    out.reader = stub_->Subscribe(out.context.get(), request);
    return out;
  }
  v1::NotificationStats Stats(const std::string& token) {
    v1::NotificationStats stats;
    EXPECT_TRUE(stub_->GetStats(Context(token).get(), {}, &stats).ok());
    return stats;
  }
  static std::string Text(const v1::Event& event) {
    auto it = event.payload().fields().find("text");
    return it == event.payload().fields().end() ? "" : it->second.string_value();
  }

  const config::v1::Config config_ = TestConfig();
  clock::SystemClock clock_;
  std::unique_ptr<auth::KeySet> keys_ = *auth::KeySet::FromText(kSecret);
  std::unique_ptr<service::Process> process_ =
      std::make_unique<service::Process>(config_, service::ProcessOptions{.name = "notification"});
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::NotificationService::Stub> stub_;
};

TEST_F(NotificationServiceTest, AnEventReachesItsUserWithPositionAndCursor) {
  Subscription alice = Open(Token("alice"));
  const v1::Event subscribed = alice.Next();
  EXPECT_EQ(subscribed.type(), "subscribed");
  EXPECT_TRUE(subscribed.recovered());
  EXPECT_TRUE(subscribed.position().empty());
  v1::PublishRequest request = Request("user:alice", "hello", "task_started", "t1");
  request.set_correlation_id("corr");
  v1::PublishResponse response;
  ASSERT_TRUE(Publish(request, ServiceToken(), &response).ok());
  const v1::Event event = alice.Next();
  EXPECT_EQ(event.event_id(), response.event_id());
  EXPECT_EQ(event.event_id().size(), 36u);
  EXPECT_EQ(event.position(), response.position());
  EXPECT_EQ(event.type(), "task_started");
  EXPECT_EQ(event.channel(), "user:alice");
  EXPECT_EQ(event.task_id(), "t1");
  EXPECT_EQ(event.correlation_id(), "corr");
  EXPECT_EQ(Text(event), "hello");
  EXPECT_TRUE(event.has_created_at());
  EXPECT_EQ(event.cursor().rfind("u" + event.position() + ".b", 0), 0u) << event.cursor();
  EXPECT_NE(event.cursor(), subscribed.cursor());
}

TEST_F(NotificationServiceTest, NobodyGetsWhatIsAnothers) {
  Subscription bob = Open(Token("bob", {"user"}, "other"));
  EXPECT_EQ(bob.Next().type(), "subscribed");
  ASSERT_TRUE(Publish(Request("user:alice", "no"), ServiceToken()).ok());
  ASSERT_TRUE(Publish(Request("tenant:acme", "no"), ServiceToken()).ok());
  ASSERT_TRUE(Publish(Request("tenant:other", "tenant"), ServiceToken()).ok());
  ASSERT_TRUE(Publish(Request("broadcast", "all"), ServiceToken()).ok());
  EXPECT_EQ(Text(bob.Next()), "tenant");
  EXPECT_EQ(Text(bob.Next()), "all");
}

TEST_F(NotificationServiceTest, ResumesWhereItLeft) {
  std::string cursor;
  {
    Subscription alice = Open(Token("alice"));
    cursor = alice.Next().cursor();
  }
  for (const char* text : {"one", "two"}) {
    ASSERT_TRUE(Publish(Request("user:alice", text), ServiceToken()).ok());
  }
  Subscription resumed = Open(Token("alice"), cursor);
  EXPECT_TRUE(resumed.Next().recovered());
  const v1::Event one = resumed.Next();
  EXPECT_EQ(Text(one), "one");
  EXPECT_EQ(Text(resumed.Next()), "two");
  // A browser keeps its URL; the header says where it really is.
  Subscription browser = Open(Token("alice"), cursor, one.cursor());
  EXPECT_TRUE(browser.Next().recovered());
  EXPECT_EQ(Text(browser.Next()), "two");
  // Another user's cursor fits nowhere.
  Subscription bob = Open(Token("bob"), one.cursor());
  EXPECT_FALSE(bob.Next().recovered());
}

TEST_F(NotificationServiceTest, RefusesWhoMayNotAndWhatIsWrong) {
  EXPECT_EQ(Publish(Request("user:alice", "x"), "").code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Publish(Request("user:alice", "x"), Token("alice")).code(),
            absl::StatusCode::kPermissionDenied);
  Subscription nobody = Open("");
  EXPECT_EQ(nobody.Next().type(), "ended");
  EXPECT_EQ(nobody.Finish().code(), absl::StatusCode::kUnauthenticated);
  Subscription wrong = Open(Token("alice"), "not-a-cursor");
  EXPECT_EQ(wrong.Next().type(), "ended");
  EXPECT_EQ(status::FieldViolations(wrong.Finish()).at(0).field, "cursor");
  EXPECT_EQ(status::FieldViolations(Publish(Request("alice", "x"), ServiceToken())).at(0).field,
            "channel");
  EXPECT_EQ(status::FieldViolations(Publish(Request("user:alice", "x", "news"), ServiceToken()))
                .at(0)
                .field,
            "type");
  EXPECT_EQ(status::FieldViolations(
                Publish(Request("user:alice", std::string(33'000, 'x')), ServiceToken()))
                .at(0)
                .field,
            "payload");
}

TEST_F(NotificationServiceTest, PublishManyKeepsOrderAndNamesTheWrongOne) {
  Subscription alice = Open(Token("alice"));
  alice.Next();
  v1::PublishManyRequest request;
  for (int i = 0; i < 10; ++i) *request.add_events() = Request("user:alice", std::to_string(i));
  *request.add_events() = Request("user:alice", "again");
  request.mutable_events(9)->set_idempotency_key("key");
  request.mutable_events(10)->set_idempotency_key("key");
  v1::PublishManyResponse response;
  ASSERT_TRUE(stub_->PublishMany(Context(ServiceToken()).get(), request, &response).ok());
  ASSERT_EQ(response.results_size(), 11);
  EXPECT_TRUE(response.results(10).duplicate());
  EXPECT_EQ(response.results(10).event_id(), response.results(9).event_id());
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Text(alice.Next()), std::to_string(i));
  request.mutable_events(3)->set_channel("nowhere");
  const absl::Status refused =
      rpc::FromGrpc(stub_->PublishMany(Context(ServiceToken()).get(), request, &response));
  EXPECT_EQ(status::FieldViolations(refused).at(0).field, "events[3].channel");
}

TEST_F(NotificationServiceTest, BroadcastIsForAdministratorsAndReachesAll) {
  Subscription alice = Open(Token("alice"));
  alice.Next();
  v1::BroadcastRequest request;
  (*request.mutable_payload()->mutable_fields())["text"].set_string_value("maintenance");
  v1::PublishResponse response;
  EXPECT_EQ(stub_->Broadcast(Context(Token("alice")).get(), request, &response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  ASSERT_TRUE(stub_->Broadcast(Context(Token("root", {"admin"})).get(), request, &response).ok());
  const v1::Event event = alice.Next();
  EXPECT_EQ(event.type(), "system_alert");
  EXPECT_EQ(event.channel(), "broadcast");
  EXPECT_EQ(Text(event), "maintenance");
}

TEST_F(NotificationServiceTest, AckCountsWhatIsLeft) {
  Subscription alice = Open(Token("alice"));
  alice.Next();
  for (const char* text : {"one", "two", "three"}) {
    ASSERT_TRUE(Publish(Request("user:alice", text), ServiceToken()).ok());
  }
  v1::AckRequest request;
  request.set_cursor(alice.Next().cursor());
  v1::AckResponse response;
  ASSERT_TRUE(stub_->Ack(Context(Token("alice")).get(), request, &response).ok());
  EXPECT_EQ(response.pending_count(), 2);
  request.clear_cursor();
  EXPECT_EQ(stub_->Ack(Context(Token("alice")).get(), request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(NotificationServiceTest, PresenceIsForThoseWhoMaySeeIt) {
  Subscription alice = Open(Token("alice", {"user"}, "acme"));
  alice.Next();
  v1::GetPresenceRequest request;
  v1::GetPresenceResponse response;
  ASSERT_TRUE(stub_->GetPresence(Context(Token("alice")).get(), request, &response).ok());
  ASSERT_EQ(response.presences_size(), 1);
  EXPECT_TRUE(response.presences(0).online());
  EXPECT_EQ(response.presences(0).connections_count(), 1);
  request.add_users("alice");
  const auto code = [&](const std::string& token) {
    v1::GetPresenceResponse out;
    return stub_->GetPresence(Context(token).get(), request, &out).error_code();
  };
  EXPECT_EQ(code(Token("bob")), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(code(Token("boss", {"tenant_admin"}, "other")), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(code(Token("boss", {"tenant_admin"}, "acme")), grpc::StatusCode::OK);
  EXPECT_EQ(code(Token("root", {"admin"})), grpc::StatusCode::OK);
}

TEST_F(NotificationServiceTest, StatsCountAndAreScoped) {
  Subscription alice = Open(Token("alice"));
  alice.Next();
  ASSERT_TRUE(Publish(Request("user:alice", "one"), ServiceToken()).ok());
  alice.Next();
  const v1::NotificationStats stats = Stats(Token("alice"));
  EXPECT_EQ(stats.connections_count(), 1);
  EXPECT_EQ(stats.delivered_count(), 1);
  EXPECT_EQ(stats.store(), "memory");
  EXPECT_GT(stats.delivery_p99_ms(), 0);
  v1::GetStatsRequest request;
  v1::NotificationStats out;
  request.set_user("bob");
  EXPECT_EQ(stub_->GetStats(Context(Token("alice")).get(), request, &out).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  request.set_user("alice");
  EXPECT_TRUE(stub_->GetStats(Context(Token("alice")).get(), request, &out).ok());
  EXPECT_EQ(out.delivered_count(), 1);
}

TEST_F(NotificationServiceTest, AReaderThatLeavesIsNoLongerConnected) {
  {
    Subscription alice = Open(Token("alice"));
    alice.Next();
    alice.context->TryCancel();
    EXPECT_EQ(alice.Finish().code(), absl::StatusCode::kCancelled);
  }
  const absl::Time deadline = clock_.Now() + absl::Seconds(20);
  while (Stats(Token("alice")).connections_count() > 0 && clock_.Now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_EQ(Stats(Token("alice")).connections_count(), 0);
}

TEST_F(NotificationServiceTest, DrainSendsReadersAwayWithTheirCursor) {
  Subscription alice = Open(Token("alice"));
  const std::string cursor = alice.Next().cursor();
  auto context = Context(ServiceToken());
  auto edge = stub_->Attach(context.get());
  v1::AttachRequest hello;
  hello.mutable_hello()->set_edge_name("edge-1");
  ASSERT_TRUE(edge->Write(hello));
  v1::AttachResponse response;
  ASSERT_TRUE(edge->Read(&response));
  ASSERT_TRUE(response.has_attached());
  std::thread shutdown([&] { process_->Shutdown(); });
  const absl::Time started_at = clock_.Now();
  const v1::Event last = alice.Next();
  EXPECT_EQ(last.type(), "reconnect");
  EXPECT_EQ(last.cursor(), cursor);
  EXPECT_TRUE(last.payload().fields().contains("reconnect_after_ms"));
  EXPECT_EQ(alice.Next().type(), "ended");
  EXPECT_TRUE(alice.Finish().ok());
  ASSERT_TRUE(edge->Read(&response));
  EXPECT_TRUE(response.has_drain());
  // The edge still has its sending half open: the node ends the stream all the same.
  EXPECT_FALSE(edge->Read(&response));
  EXPECT_TRUE(edge->Finish().ok());
  shutdown.join();
  EXPECT_LT(clock_.Now() - started_at, absl::Seconds(8)) << "before the grace is over";
}

class AttachTest : public NotificationServiceTest {
 protected:
  AttachTest() : context_(Context(ServiceToken())), edge_(stub_->Attach(context_.get())) {}

  v1::AttachResponse Hello(bool takes_batches = false) {
    v1::AttachRequest request;
    request.mutable_hello()->set_edge_name("edge-1");
    request.mutable_hello()->set_takes_batches(takes_batches);
    EXPECT_TRUE(edge_->Write(request));
    return Next();
  }
  void Subscribe(uint64_t id, const std::string& token, int credit = 100,
                 const std::string& cursor = "") {
    v1::AttachRequest request;
    auto& subscribe = *request.mutable_subscribe();
    subscribe.set_subscriber_id(id);
    subscribe.set_token(token);
    subscribe.set_cursor(cursor);
    subscribe.set_credit_count(credit);
    EXPECT_TRUE(edge_->Write(request));
  }
  v1::AttachResponse Next() {
    v1::AttachResponse response;
    EXPECT_TRUE(edge_->Read(&response));
    return response;
  }
  absl::Status Finish() {
    v1::AttachResponse rest;
    while (edge_->Read(&rest)) {
    }
    return rpc::FromGrpc(edge_->Finish());
  }

  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AttachRequest, v1::AttachResponse>> edge_;
};

TEST_F(AttachTest, CarriesManySubscribersOverOneStream) {
  EXPECT_GT(Hello().attached().max_subscribers_count(), 0);
  Subscribe(1, Token("alice"));
  const auto first = Next().subscribed();
  EXPECT_EQ(first.subscriber_id(), 1u);
  EXPECT_EQ(first.user(), "alice");
  EXPECT_TRUE(first.recovered());
  EXPECT_GT(first.token_expires_at().seconds(), 0);
  Subscribe(2, Token("bob", {"user"}, "acme"));
  EXPECT_EQ(Next().subscribed().tenant(), "acme");
  ASSERT_TRUE(Publish(Request("broadcast", "all"), ServiceToken()).ok());
  const auto all = Next().delivery();
  EXPECT_EQ(all.subscriber_ids_size(), 2);
  EXPECT_EQ(Text(all.event()), "all");
  EXPECT_TRUE(all.event().cursor().empty());
  ASSERT_TRUE(Publish(Request("user:bob", "one"), ServiceToken()).ok());
  const auto one = Next().delivery();
  ASSERT_EQ(one.subscriber_ids_size(), 1);
  EXPECT_EQ(one.subscriber_ids(0), 2u);
  // The edge makes the cursor itself: the channel's letter and the event's position.
  v1::AttachRequest gone;
  gone.mutable_unsubscribe()->set_subscriber_id(1);
  ASSERT_TRUE(edge_->Write(gone));
  Subscribe(3, Token("alice"), 100,
            first.cursor().substr(0, first.cursor().find('.')) + ".b" + all.event().position());
  EXPECT_TRUE(Next().subscribed().recovered());
  edge_->WritesDone();
  EXPECT_TRUE(Finish().ok());
}

TEST_F(AttachTest, BatchesHaveAllEventsInTheirOrder) {
  constexpr int kEventsCount = 60;
  Hello(/*takes_batches=*/true);
  Subscribe(1, Token("alice"));
  Next();
  Subscribe(2, Token("bob"));
  Next();
  v1::PublishManyRequest many;
  std::vector<std::string> alices, bobs;
  for (int i = 0; i < kEventsCount; ++i) {
    const bool private_one = i % 7 == 3;
    *many.add_events() = Request(private_one ? "user:bob" : "broadcast", std::to_string(i));
    if (!private_one) alices.push_back(std::to_string(i));
    bobs.push_back(std::to_string(i));
  }
  v1::PublishManyResponse published;
  ASSERT_TRUE(stub_->PublishMany(Context(ServiceToken()).get(), many, &published).ok());
  std::map<uint64_t, std::vector<std::string>> got;
  int responses = 0, deliveries = 0;
  while (got[2].size() < bobs.size()) {
    const v1::AttachResponse response = Next();
    ASSERT_TRUE(response.has_delivery_batch()) << response.DebugString();
    ++responses;
    for (const auto& delivery : response.delivery_batch().deliveries()) {
      ++deliveries;
      for (const uint64_t id : delivery.subscriber_ids()) {
        got[id].push_back(Text(delivery.event()));
        for (const v1::Event& event : delivery.more_events()) got[id].push_back(Text(event));
      }
    }
  }
  EXPECT_EQ(got[1], alices);
  EXPECT_EQ(got[2], bobs);
  // The first has left alone; the others have come meanwhile and go together, those that follow
  // each other to the same receivers as one delivery.
  EXPECT_LT(responses, kEventsCount / 4);
  EXPECT_LT(deliveries, kEventsCount / 2);
}

TEST_F(AttachTest, ASubscribersFailureIsItsOwn) {
  Hello();
  Subscribe(1, "not.a.token");
  auto closed = Next().closed();
  EXPECT_EQ(closed.subscriber_id(), 1u);
  EXPECT_EQ(closed.reason(), "UNAUTHENTICATED");
  Subscribe(2, Token("alice", {"nothing"}));
  EXPECT_EQ(Next().closed().reason(), "PERMISSION_DENIED");
  Subscribe(3, Token("alice"), 100, "not-a-cursor");
  EXPECT_EQ(Next().closed().reason(), "INVALID_CURSOR");
  v1::AttachRequest dances;
  dances.mutable_subscribe()->set_subscriber_id(4);
  dances.mutable_subscribe()->set_token(Token("alice"));
  dances.mutable_subscribe()->set_credit_count(1);
  dances.mutable_subscribe()->add_types("dance");
  ASSERT_TRUE(edge_->Write(dances));
  EXPECT_EQ(Next().closed().reason(), "INVALID_TYPES");
  for (uint64_t id = 10; id < 20; ++id) {
    Subscribe(id, Token("alice"));
    EXPECT_TRUE(Next().has_subscribed());
  }
  Subscribe(20, Token("alice"));
  EXPECT_EQ(Next().closed().reason(), "TOO_MANY_CONNECTIONS");
  v1::AttachRequest refresh;
  refresh.mutable_refresh()->set_subscriber_id(10);
  refresh.mutable_refresh()->set_token(Token("bob"));
  ASSERT_TRUE(edge_->Write(refresh));
  EXPECT_EQ(Next().closed().reason(), "PERMISSION_DENIED");
}

TEST_F(AttachTest, CreditHoldsBackAndConflatesProgress) {
  Hello();
  Subscribe(1, Token("alice"), 1);
  Next();
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(
        Publish(Request("user:alice", std::to_string(i), "task_progress", "t"), ServiceToken())
            .ok());
  }
  ASSERT_TRUE(Publish(Request("user:alice", "done", "task_completed", "t"), ServiceToken()).ok());
  EXPECT_EQ(Text(Next().delivery().event()), "0");
  v1::AttachRequest credit;
  credit.mutable_credit()->add_subscriber_ids(1);
  credit.mutable_credit()->set_credit_count(5);
  ASSERT_TRUE(edge_->Write(credit));
  EXPECT_EQ(Text(Next().delivery().event()), "4");
  EXPECT_EQ(Text(Next().delivery().event()), "done");
}

TEST_F(AttachTest, AnEdgeThatBreaksTheProtocolIsToldSo) {
  Subscribe(1, Token("alice"));  // before hello
  EXPECT_EQ(status::FieldViolations(Finish()).at(0).field, "hello.edge_name");
}

TEST_F(AttachTest, ASubscriberIdIsUsedOnce) {
  Hello();
  Subscribe(1, Token("alice"));
  Next();
  Subscribe(1, Token("bob"));
  EXPECT_EQ(status::Reason(Finish()), "SUBSCRIBER_ID_IN_USE");
}

TEST_F(AttachTest, UsersMayNotAttach) {
  auto context = Context(Token("alice"));
  auto stream = stub_->Attach(context.get());
  v1::AttachResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST(NotificationModuleTest, ARedisUrlThatCannotBeUsedIsRefused) {
  config::v1::Config config = TestConfig();
  config.mutable_notification()->set_redis_url("rediss://127.0.0.1:6379");
  config.mutable_notification()->set_redis_ca_file("/nowhere/ca.pem");
  service::Process process(config, {.name = "notification"});
  const absl::Status status = process.Start({MakeNotificationModule});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
}

}  // namespace
}  // namespace slipstream::notification
