// Two processes of the service on one Redis, as a deployment has them: over gRPC.
#include "services/notification/service_fixture.h"

namespace slipstream::notification {
namespace {

using NotificationRedisTest = ServiceFixture;

TEST_F(NotificationRedisTest, TwoProcessesAreOneServiceThatSurvivesItsRedis) {
  const auto process_a = StartProcess(), process_b = StartProcess();
  ServiceProcess &a = *process_a, &b = *process_b;
  ASSERT_TRUE(Eventually([&] { return !Stats(a).degraded() && !Stats(b).degraded(); }));
  EXPECT_EQ(Stats(a).store(), "redis");

  auto context = Context("alice");
  auto reader = b.stub->Subscribe(context.get(), {});
  v1::Event event;
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.type(), "subscribed");
  ASSERT_TRUE(Publish(a, "alice", "1").ok());
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(Text(event), "1");
  const std::string cursor = event.cursor();

  EXPECT_TRUE(Eventually([&] {
    v1::GetPresenceResponse presence;
    EXPECT_TRUE(a.stub->GetPresence(Context("alice").get(), {}, &presence).ok());
    return presence.presences(0).online() && presence.presences(0).connections_count() == 1;
  }));

  redis_->Kill();
  EXPECT_TRUE(Eventually([&] { return Stats(a).degraded() && Stats(b).degraded(); }));
  EXPECT_EQ(Publish(a, "alice", "2").code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(redis_->Restart().ok());
  EXPECT_TRUE(Eventually([&] { return !Stats(a).degraded() && !Stats(b).degraded(); }));
  EXPECT_TRUE(Eventually([&] { return Publish(a, "alice", "2").ok(); }));
  EXPECT_TRUE(Publish(a, "alice", "2").ok()) << "the same again";
  EXPECT_TRUE(Publish(a, "alice", "3").ok());
  for (const char* text : {"2", "3"}) {
    ASSERT_TRUE(reader->Read(&event));
    EXPECT_EQ(Text(event), text);
  }
  context->TryCancel();
  while (reader->Read(&event)) {
  }
  (void)reader->Finish();

  // From the other process, with a cursor from before the restart.
  auto again = Context("alice");
  v1::SubscribeRequest request;
  request.set_cursor(cursor);
  auto resumed = a.stub->Subscribe(again.get(), request);
  ASSERT_TRUE(resumed->Read(&event));
  EXPECT_TRUE(event.recovered());
  for (const char* text : {"2", "3"}) {
    ASSERT_TRUE(resumed->Read(&event));
    EXPECT_EQ(Text(event), text);
  }
  again->TryCancel();
}

// An edge's stream to one process.
class AttachedEdgeTest : public ServiceFixture {
 protected:
  AttachedEdgeTest() : process_(StartProcess()), context_(Context("edge", "service")) {
    EXPECT_TRUE(Eventually([&] { return !Stats(*process_).degraded(); }));
    edge_ = process_->stub->Attach(context_.get());
    v1::AttachRequest request;
    request.mutable_hello()->set_edge_name("edge-1");
    EXPECT_TRUE(edge_->Write(request));
    EXPECT_TRUE(Next().has_attached());
  }
  ~AttachedEdgeTest() override {
    context_->TryCancel();
    v1::AttachResponse rest;
    while (edge_->Read(&rest)) {
    }
    (void)edge_->Finish();
  }
  void Subscribe(uint64_t id, const std::string& cursor = "") {
    v1::AttachRequest request;
    request.mutable_subscribe()->set_subscriber_id(id);
    request.mutable_subscribe()->set_token(Token("alice"));
    request.mutable_subscribe()->set_cursor(cursor);
    request.mutable_subscribe()->set_credit_count(100);
    EXPECT_TRUE(edge_->Write(request));
  }
  v1::AttachResponse Next() {
    v1::AttachResponse response;
    EXPECT_TRUE(edge_->Read(&response));
    return response;
  }

  const std::unique_ptr<ServiceProcess> process_;
  const std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AttachRequest, v1::AttachResponse>> edge_;
};

TEST_F(AttachedEdgeTest, WhoSubscribesWhileTheHistoryIsAwayIsToldSoAndComesBack) {
  redis_->Kill();
  Subscribe(1);
  // Not TOO_MANY_CONNECTIONS, which would tell a client to close others.
  const v1::AttachResponse refused = Next();
  EXPECT_EQ(refused.closed().reason(), "STORE_UNAVAILABLE") << refused.DebugString();
  ASSERT_TRUE(redis_->Restart().ok());
  ASSERT_TRUE(Eventually([&] { return !Stats(*process_).degraded(); }));
  Subscribe(2);
  EXPECT_EQ(Next().subscribed().subscriber_id(), 2u);
}

TEST_F(AttachedEdgeTest, OneWhoseHistoryTakesLongKeepsNoOtherWaiting) {
  redis_->Pause();
  Subscribe(1);
  Subscribe(2, "no cursor");
  const v1::AttachResponse first = Next();
  redis_->Resume();
  EXPECT_EQ(first.closed().subscriber_id(), 2u) << first.DebugString();
  EXPECT_EQ(first.closed().reason(), "INVALID_CURSOR");
  EXPECT_EQ(Next().subscribed().subscriber_id(), 1u);
}

}  // namespace
}  // namespace slipstream::notification
