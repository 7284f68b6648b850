// The whole service: tokens, streams, resume, drain.
#include "services/notification/one_service_fixture.h"

namespace slipstream::notification {
namespace {

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
