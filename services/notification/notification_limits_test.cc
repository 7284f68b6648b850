// What bounds a reader: its credit, what it leaves unread, its user's messages a minute.
#include "gtest/gtest.h"
#include "services/notification/engine_fixture.h"

namespace slipstream::notification {
namespace {

using NotificationLimitsTest = NotificationEngineTest;

TEST_F(NotificationLimitsTest, CreditBoundsWhatIsSentAndProgressIsConflatedMeanwhile) {
  Reader reader = Open({.single = false});
  ASSERT_TRUE(TrySubscribe(reader, {.id = 7, .user = "alice", .credit_count = 2}).ok());
  Publish("e1");
  for (int i = 0; i < 10; ++i) {
    Publish("p" + std::to_string(i), "user:alice", EventType::kTaskProgress, "t");
  }
  Publish("done", "user:alice", EventType::kTaskCompleted, "t");
  reader.Drain(*engine_);
  EXPECT_EQ(reader.ids, (Names{"e1", "p0"}));
  engine_->AddCredit(reader.link, {7}, 10);
  reader.Drain(*engine_);
  EXPECT_EQ(reader.ids, (Names{"e1", "p0", "p9", "done"}));
  EXPECT_EQ(engine_->Stats("", "").figures.conflated_count, 8);
}

TEST_F(NotificationLimitsTest, ASlowReaderIsClosedWithItsCursorAndTheOthersGoOn) {
  EngineOptions options;
  options.registry.subscriber_queue_bytes = 20'000;
  Restart(options);
  Reader slow = Open({.single = true, .max_queued_bytes = 5'000});
  ASSERT_TRUE(TrySubscribe(slow, {.user = "alice"}).ok());
  Reader fast = Subscribe("alice");
  for (int i = 1; i <= 100; ++i) {
    std::vector<AppendRequest> requests;
    requests.push_back(MakeAppend(clock_, "e" + std::to_string(i), "user:alice"));
    requests[0].event.encoded.assign(1000, 'x');
    Publish(std::move(requests));
    fast.Drain(*engine_);
  }
  EXPECT_EQ(fast.ids.size(), 100u);
  slow.Drain(*engine_);
  EXPECT_EQ(slow.closed, CloseReason::kSlowReader);
  ASSERT_FALSE(slow.ids.empty());
  EXPECT_LT(slow.ids.size(), 30u);
  EXPECT_EQ(slow.cursor.substr(0, slow.cursor.find('.')),
            "u" + FormatPosition(slow.positions.back()));
  EXPECT_EQ(engine_->Stats("", "").queue_bytes, 0);
  EXPECT_EQ(engine_->Stats("", "").connections_count, 1);
}

TEST_F(NotificationLimitsTest, AFullLinkGoesOnWhenItHasRoom) {
  Reader reader = Open({.single = true, .max_queued_bytes = 1'000});
  ASSERT_TRUE(TrySubscribe(reader, {.user = "alice"}).ok());
  Names expected;
  for (int i = 0; i < 100; ++i) {
    expected.push_back("e" + std::to_string(i));
    Publish(expected.back());
  }
  for (int i = 0; i < 200; ++i) reader.Drain(*engine_, 2);
  EXPECT_EQ(reader.ids, expected);
}

class RateTest : public NotificationEngineTest {
 protected:
  RateTest() : NotificationEngineTest({.registry = {.user_messages_per_minute_count = 10}}) {}
  void PassSeconds(int count) {
    for (int i = 0; i < count; ++i) {
      clock_.Advance(absl::Seconds(1));
      engine_->Tick();
    }
  }
  static Names Numbers(int from, int to) {
    Names out;
    for (int i = from; i <= to; ++i) out.push_back(std::to_string(i));
    return out;
  }
};

TEST_F(RateTest, AlertsBeyondTheMinutesNumberComeLaterAndAll) {
  Reader alice = Subscribe("alice");
  for (const std::string& id : Numbers(1, 25)) Publish(id);
  alice.Drain(*engine_);
  EXPECT_EQ(alice.ids, Numbers(1, 10));
  EXPECT_EQ(engine_->Stats("alice", "").figures.delayed_count, 15);
  PassSeconds(30);
  alice.Drain(*engine_);
  EXPECT_EQ(alice.ids, Numbers(1, 15));
  PassSeconds(60);
  alice.Drain(*engine_);
  EXPECT_EQ(alice.ids, Numbers(1, 25));
}

TEST_F(RateTest, WhatEndsATaskIsNotCountedAndOnlyWaitsBehindWhatIs) {
  Reader alice = Subscribe("alice");
  for (const std::string& id : Numbers(1, 30)) {
    Publish(id, "user:alice", EventType::kTaskCompleted, id);
  }
  for (const std::string& id : Numbers(31, 41)) Publish(id);
  Publish("42", "user:alice", EventType::kBudgetAlert);
  alice.Drain(*engine_);
  EXPECT_EQ(alice.ids, Numbers(1, 40));
  PassSeconds(10);
  alice.Drain(*engine_);
  EXPECT_EQ(alice.ids, Numbers(1, 42));
}

TEST_F(RateTest, ProgressThatWaitsIsConflated) {
  Reader alice = Subscribe("alice");
  for (const std::string& id : Numbers(1, 10)) Publish(id);
  for (const std::string& id : Numbers(11, 60)) {
    Publish(id, "user:alice", EventType::kTaskProgress, "t");
  }
  PassSeconds(60);
  alice.Drain(*engine_);
  Names expected = Numbers(1, 10);
  expected.push_back("60");
  EXPECT_EQ(alice.ids, expected);
}

TEST_F(RateTest, AUsersConnectionsShareTheNumberAndOthersHaveTheirOwn) {
  Reader first = Subscribe("alice"), second = Subscribe("alice"), bob = Subscribe("bob");
  for (const std::string& id : Numbers(1, 25)) Publish(id, "broadcast");
  first.Drain(*engine_);
  second.Drain(*engine_);
  bob.Drain(*engine_);
  EXPECT_EQ(first.ids, Numbers(1, 10));
  EXPECT_EQ(second.ids, Numbers(1, 10));
  EXPECT_EQ(bob.ids, Numbers(1, 10));
}

TEST_F(RateTest, WhoComesBackHasNoNewMinute) {
  Reader alice = Subscribe("alice");
  for (const std::string& id : Numbers(1, 20)) Publish(id);
  alice.Drain(*engine_);
  engine_->CloseLink(alice.link);
  Reader again = Subscribe("alice", alice.cursor);
  EXPECT_EQ(again.recovered, true);
  EXPECT_EQ(again.ids, Names{});
  PassSeconds(60);
  again.Drain(*engine_);
  EXPECT_EQ(again.ids, Numbers(11, 20));
}

}  // namespace
}  // namespace slipstream::notification
