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

}  // namespace
}  // namespace slipstream::notification
