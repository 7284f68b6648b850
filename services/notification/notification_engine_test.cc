// Who gets what, bounds, presence, statistics and drain of the engine. What it sends of the
// history: notification_resume_test.cc; what it holds back: notification_limits_test.cc.
#include "services/notification/notification_engine.h"

#include "gtest/gtest.h"
#include "libs/status/status.h"
#include "services/notification/engine_fixture.h"

namespace slipstream::notification {
namespace {

TEST_F(NotificationEngineTest, DeliversToItsChannelsAlone) {
  Reader alice = Subscribe("alice", "", "acme");
  Reader bob = Subscribe("bob", "", "other");
  Publish("to alice", "user:alice");
  Publish("to bob", "user:bob");
  Publish("to acme", "tenant:acme");
  Publish("to all", "broadcast");
  alice.Drain(*engine_);
  bob.Drain(*engine_);
  EXPECT_EQ(alice.ids, (Names{"to alice", "to acme", "to all"}));
  EXPECT_EQ(bob.ids, (Names{"to bob", "to all"}));
  EXPECT_EQ(alice.recovered, true);
}

TEST_F(NotificationEngineTest, OnlyTheTypesAskedFor) {
  Reader reader = Open();
  ASSERT_TRUE(
      TrySubscribe(reader, {.user = "alice", .types = TypeBit(EventType::kTaskFailed)}).ok());
  Publish("s", "user:alice", EventType::kTaskStarted, "t");
  Publish("f", "user:alice", EventType::kTaskFailed, "t");
  Publish("a");
  reader.Drain(*engine_);
  EXPECT_EQ(reader.ids, Names{"f"});
}

TEST_F(NotificationEngineTest, OneDeliveryForAllReceiversOfALink) {
  Reader edge = Open({.single = false});
  for (uint64_t id = 1; id <= 5; ++id) {
    ASSERT_TRUE(TrySubscribe(edge, {.id = id, .user = "u" + std::to_string(id)}).ok());
  }
  edge.Drain(*engine_);
  Publish("all", "broadcast");
  const auto messages = engine_->Take(edge.link, 100);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(std::get<DeliveryMessage>(messages[0]).subscriber_ids.size(), 5u);
}

TEST_F(NotificationEngineTest, Bounds) {
  EngineOptions options;
  options.registry.max_subscribers_count = 3;
  options.registry.max_connections_per_user_count = 2;
  Restart(options);
  Reader edge = Open({.single = false});
  EXPECT_TRUE(TrySubscribe(edge, {.id = 1, .user = "alice"}).ok());
  EXPECT_TRUE(TrySubscribe(edge, {.id = 2, .user = "alice"}).ok());
  EXPECT_EQ(status::Reason(TrySubscribe(edge, {.id = 3, .user = "alice"})), "TOO_MANY_CONNECTIONS");
  EXPECT_EQ(status::Reason(TrySubscribe(edge, {.id = 2, .user = "bob"})), "SUBSCRIBER_ID_IN_USE");
  EXPECT_TRUE(TrySubscribe(edge, {.id = 3, .user = "bob"}).ok());
  EXPECT_EQ(status::Reason(TrySubscribe(edge, {.id = 4, .user = "carol"})), "TOO_MANY_SUBSCRIBERS");
  engine_->Unsubscribe(edge.link, 3);
  EXPECT_TRUE(TrySubscribe(edge, {.id = 4, .user = "carol"}).ok());
}

TEST_F(NotificationEngineTest, AnExpiredTokenEndsItsSubscriberUnlessRefreshed) {
  Reader edge = Open({.single = false});
  const absl::Time exp = clock_.Now() + absl::Minutes(5);
  for (uint64_t id : {1, 2}) {
    ASSERT_TRUE(TrySubscribe(edge, {.id = id, .user = "alice", .token_expires_at = exp}).ok());
  }
  EXPECT_FALSE(engine_->Refresh(edge.link, 2, "bob", "", exp + absl::Hours(1)));
  EXPECT_FALSE(engine_->Refresh(edge.link, 2, "alice", "rival", exp + absl::Hours(1)));
  EXPECT_TRUE(engine_->Refresh(edge.link, 2, "alice", "", exp + absl::Hours(1)));
  clock_.Advance(absl::Minutes(6));
  engine_->Tick();
  EXPECT_EQ(engine_->Stats("", "").connections_count, 2) << "the leeway holds";
  clock_.Advance(absl::Seconds(1));
  engine_->Tick();
  edge.Drain(*engine_);
  EXPECT_EQ(edge.closed, CloseReason::kTokenExpired);
  EXPECT_EQ(engine_->Stats("", "").connections_count, 1);
}

TEST_F(NotificationEngineTest, PresenceFollowsTheConnections) {
  EXPECT_FALSE(PresenceOf("alice").known);
  Reader reader = Subscribe("alice", "", "acme");
  EXPECT_EQ(PresenceOf("alice").connections_count, 1);
  EXPECT_EQ(PresenceOf("alice").tenant, "acme");
  engine_->CloseLink(reader.link);
  const absl::Time left = clock_.Now();
  clock_.Advance(absl::Minutes(1));
  EXPECT_EQ(PresenceOf("alice").connections_count, 0);
  EXPECT_EQ(PresenceOf("alice").last_seen_at, left);
}

TEST_F(NotificationEngineTest, StatsByUserAndTenant) {
  Reader alice = Subscribe("alice", "", "acme");
  Reader bob = Subscribe("bob", "", "acme");
  Publish("e", "user:alice", EventType::kTaskStarted, "t");
  Publish("t", "tenant:acme");
  EXPECT_EQ(engine_->Stats("", "").figures.delivered_count, 3);
  EXPECT_EQ(engine_->Stats("alice", "").figures.delivered_count, 2);
  EXPECT_EQ(engine_->Stats("bob", "").figures.delivered_count, 1);
  EXPECT_EQ(engine_->Stats("", "acme").figures.delivered_count, 3);
  EXPECT_EQ(engine_->Stats("", "acme").users_count, 2);
  EXPECT_EQ(engine_->Stats("nobody", "").figures.delivered_count, 0);
  EXPECT_EQ(engine_->Stats("alice", "").figures.published[0], 1);
}

TEST_F(NotificationEngineTest, DrainSendsEveryReaderAwayWithItsCursor) {
  std::vector<Reader> readers;
  for (int i = 0; i < 4; ++i) readers.push_back(Subscribe("user" + std::to_string(i)));
  Reader edge = Open({.single = false});
  engine_->BeginDrain(absl::Seconds(4));
  EXPECT_EQ(engine_->OpenLink({}).status().code(), absl::StatusCode::kUnavailable);
  edge.Drain(*engine_);
  EXPECT_TRUE(edge.told_to_reconnect);
  int ended = 0;
  for (int step = 0; step < 5; ++step) {
    engine_->Tick();
    int now_ended = 0;
    for (Reader& reader : readers) now_ended += reader.link->ended() ? 1 : 0;
    EXPECT_GE(now_ended, ended);
    EXPECT_LE(now_ended - ended, 2) << "spread over the window";
    ended = now_ended;
    EXPECT_EQ(engine_->drained(), step == 4);
    clock_.Advance(absl::Seconds(1));
  }
  for (Reader& reader : readers) {
    const std::string before = reader.cursor;
    reader.Drain(*engine_);
    EXPECT_TRUE(reader.told_to_reconnect);
    EXPECT_EQ(reader.cursor, before);
  }
}

}  // namespace
}  // namespace slipstream::notification
