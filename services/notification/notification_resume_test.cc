// Readers that come back: with all they missed, or told that something may be missing.
#include <atomic>
#include <set>
#include <thread>

#include "gtest/gtest.h"
#include "services/notification/engine_fixture.h"
#include "services/notification/subscriber_registry.h"

namespace slipstream::notification {
namespace {

using NotificationResumeTest = NotificationEngineTest;

TEST_F(NotificationResumeTest, ResumesAtEveryOffset) {
  std::vector<std::string> cursors = {Subscribe("alice").cursor};
  Reader watcher = Subscribe("alice");
  for (int i = 1; i <= 60; ++i) {
    // Progress in between takes no place among the 50.
    Publish("p", "user:alice", EventType::kTaskProgress, "running");
    Publish("e" + std::to_string(i), i % 3 == 0 ? "broadcast" : "user:alice",
            EventType::kTaskCompleted, "t" + std::to_string(i));
    watcher.Drain(*engine_);
    cursors.push_back(watcher.cursor);
  }
  for (int from = 0; from <= 60; ++from) {
    Reader reader = Subscribe("alice", cursors[static_cast<size_t>(from)]);
    EXPECT_EQ(reader.recovered, true) << from;
    Names expected;
    for (int i = from + 1; i <= 60; ++i) expected.push_back("e" + std::to_string(i));
    std::set<std::string> got;
    int progress = 0;
    for (const std::string& id : reader.ids) {
      if (id == "p") {
        ++progress;
      } else {
        EXPECT_TRUE(got.insert(id).second) << "twice: " << id;
      }
    }
    EXPECT_EQ(got, (std::set<std::string>(expected.begin(), expected.end()))) << from;
    EXPECT_LE(progress, 1);
    engine_->CloseLink(reader.link);
  }
}

TEST_F(NotificationResumeTest, WhatComesBetweenHistoryAndLiveIsNeitherLostNorRepeated) {
  const std::string cursor = Subscribe("alice").cursor;
  const auto publish = [this](const char* id) {
    return [this, id]() -> Async<void> {
      std::vector<AppendRequest> requests;
      requests.push_back(MakeAppend(clock_, id, "user:alice"));
      const auto published = co_await engine_->Publish(std::move(requests));
      EXPECT_TRUE(published.ok()) << published.status();
    };
  };
  hooked_->before_read = publish("before the read");
  hooked_->after_read = publish("after the read");
  Reader reader = Subscribe("alice", cursor);
  EXPECT_EQ(reader.ids, (Names{"before the read", "after the read"}));
  EXPECT_EQ(reader.recovered, true);
}

TEST_F(NotificationResumeTest, SaysWhenSomethingMayBeMissing) {
  Reader reader = Subscribe("alice");
  const std::string start = reader.cursor;
  for (int i = 1; i <= 51; ++i) Publish("e" + std::to_string(i));
  Reader late = Subscribe("alice", start);
  EXPECT_EQ(late.recovered, false);
  EXPECT_EQ(late.ids.size(), 50u);
  EXPECT_EQ(late.ids.front(), "e2");
}

TEST_F(NotificationResumeTest, ANewEpochIsNeverTakenForCompleteness) {
  Reader reader = Subscribe("alice");
  Publish("before");
  reader.Drain(*engine_);
  Restart();
  Publish("after");
  Reader resumed = Subscribe("alice", reader.cursor);
  EXPECT_EQ(resumed.recovered, false);
  EXPECT_EQ(resumed.ids, Names{"after"});
  // From then on the new epoch counts.
  Publish("more");
  Reader again = Subscribe("alice", resumed.cursor);
  EXPECT_EQ(again.recovered, true);
  EXPECT_EQ(again.ids, Names{"more"});
}

TEST_F(NotificationResumeTest, AnothersCursorShowsNothingOfTheOther) {
  Publish("secret", "user:bob");
  Reader bob = Subscribe("bob");
  Publish("mine", "user:alice");
  Reader alice = Subscribe("alice", bob.cursor);
  EXPECT_EQ(alice.recovered, false);
  EXPECT_EQ(alice.ids, Names{"mine"});
}

TEST_F(NotificationResumeTest, AcknowledgedOnOneDeviceIsNotReplayedToAnother) {
  Reader phone = Subscribe("alice");
  const std::string start = phone.cursor;
  for (const char* id : {"e1", "e2", "e3"}) Publish(id);
  phone.Drain(*engine_, 2);
  auto pending =
      Await(runtime_.executor(), engine_->Acknowledge("alice", "", *ParseCursor(phone.cursor)));
  ASSERT_TRUE(pending.ok());
  EXPECT_EQ(*pending, 1);
  Reader laptop = Subscribe("alice", start);
  EXPECT_EQ(laptop.recovered, true);
  EXPECT_EQ(laptop.ids, Names{"e3"});
}

// The node learns later than a reader that comes back that a channel's history is another one: the
// reader has been told, and has what there is.
TEST_F(NotificationResumeTest, WhoCameAfterALossIsNotToldAndGivenAllOnceMore) {
  SubscriberRegistry registry({});
  auto link = std::make_shared<Link>(LinkOptions{.single = true});
  registry.AddLink(link);
  const Channel channel{ChannelKind::kUser, "alice"};
  ReadResult read;
  read.lost = true;
  read.head = {0xf, 1};
  const auto event = [&](uint64_t offset) {
    Event out = MakeAppend(clock_, "e" + std::to_string(offset), "user:alice").event;
    out.position = {0xf, offset};
    return std::make_shared<const Event>(std::move(out));
  };
  read.events = {event(1)};
  SubscriberSpec spec{.id = 1, .user = "alice", .cursor = Cursor{}, .credit_count = kManyCredits};
  (*spec.cursor)[Index(ChannelKind::kUser)] = {0xe, 7};
  ASSERT_TRUE(registry.Add(link.get(), spec, clock_.Now()).ok());
  registry.FinishReplay(link.get(), spec, {read, ReadResult{.head = {0xf, 0}}}, clock_.Now());
  read.head.offset = 2;
  read.events.push_back(event(2));
  registry.Lose(channel, read, clock_.Now());
  Names told;
  for (LinkMessage& message : link->Take(100).messages) {
    if (const auto* subscribed = std::get_if<SubscribedMessage>(&message)) {
      told.push_back(subscribed->recovered ? "recovered" : "not recovered");
    } else if (const auto* delivery = std::get_if<DeliveryMessage>(&message)) {
      told.push_back(delivery->event->id);
    }
  }
  EXPECT_EQ(told, (Names{"not recovered", "e1", "e2"}));
}

// A node that learns of another epoch of the same history after one of its readers has.
class ContinuedHistoryTest : public NotificationResumeTest {
 protected:
  ContinuedHistoryTest() { registry_.AddLink(link_); }

  EventPtr At(uint64_t epoch, uint64_t offset) {
    Event out = MakeAppend(clock_, "e" + std::to_string(offset), "user:alice").event;
    out.position = {epoch, offset};
    return std::make_shared<const Event>(std::move(out));
  }
  void Add() { ASSERT_TRUE(registry_.Add(link_.get(), spec_, clock_.Now()).ok()); }
  void FinishReplay() {
    ReadResult read;
    read.head = {0xe, 2};
    read.events = {At(0xe, 1), At(0xe, 2)};
    registry_.FinishReplay(link_.get(), spec_, {read, ReadResult{.head = {0xa, 0}}}, clock_.Now());
  }
  void Continue() {
    ReadResult read;
    read.head = {0xf, 3};
    read.earlier = {{0xe, 2}};
    registry_.Continue({ChannelKind::kUser, "alice"}, read);
    for (const uint64_t offset : {2, 3}) registry_.FanOut(At(0xf, offset), clock_.Now());
  }
  Names Delivered() {
    Names ids;
    for (LinkMessage& message : link_->Take(100).messages) {
      if (const auto* delivery = std::get_if<DeliveryMessage>(&message)) {
        ids.push_back(delivery->event->id);
      }
    }
    return ids;
  }

  SubscriberRegistry registry_{{}};
  std::shared_ptr<Link> link_ = std::make_shared<Link>(LinkOptions{.single = true});
  SubscriberSpec spec_{.id = 1, .user = "alice", .credit_count = kManyCredits};
};

TEST_F(ContinuedHistoryTest, WhatItsReaderHasByTheEarlierEpochIsNotSentAgain) {
  Add();
  FinishReplay();
  Continue();
  EXPECT_EQ(Delivered(), (Names{"e1", "e2", "e3"}));
  EXPECT_EQ(ParseCursor(registry_.CursorOf(link_.get(), 1))->at(Index(ChannelKind::kUser)),
            (Position{0xf, 3}));
}

TEST_F(ContinuedHistoryTest, NorToAReaderWhoseReplayWasReadBefore) {
  Add();
  Continue();
  FinishReplay();
  EXPECT_EQ(Delivered(), (Names{"e1", "e2", "e3"}));
}

// Publishers, and readers that come and go, all at once: every ledger is contiguous.
TEST_F(NotificationResumeTest, ConcurrentPublishersAndResumingReadersKeepContiguousLedgers) {
  EngineOptions options;
  options.registry.max_connections_per_user_count = 100;
  Restart(options);
  constexpr int kPublishers = 3;
  constexpr int kEach = 400;
  constexpr int kReaders = 6;
  std::atomic<int> published{0};
  const std::string start = Subscribe("alice").cursor;
  std::vector<std::thread> threads;
  for (int p = 0; p < kPublishers; ++p) {
    threads.emplace_back([&, p] {
      for (int i = 0; i < kEach; ++i) {
        std::vector<AppendRequest> requests;
        requests.push_back(MakeAppend(clock_, std::to_string(p) + "-" + std::to_string(i),
                                      i % 2 == 0 ? "user:alice" : "broadcast",
                                      EventType::kTaskCompleted, "t"));
        requests.push_back(MakeAppend(clock_, "p", "user:alice", EventType::kTaskProgress, "t"));
        auto out = Await(runtime_.executor(), engine_->Publish(std::move(requests)));
        ASSERT_TRUE(out.ok()) << out.status();
        ++published;
      }
    });
  }
  for (int r = 0; r < kReaders; ++r) {
    threads.emplace_back([&, r] {
      std::string cursor = start;
      int round = 0;
      while (published < kPublishers * kEach) {
        Reader reader = Open();
        SubscriberSpec spec{.user = "alice", .cursor = ParseCursor(cursor)};
        ASSERT_TRUE(TrySubscribe(reader, spec).ok());
        Cursor expected = *ParseCursor(cursor);
        bool first = true;
        for (int i = 0; i < 20 + 10 * r; ++i) {
          for (LinkMessage& message : engine_->Take(reader.link, 3)) {
            if (auto* subscribed = std::get_if<SubscribedMessage>(&message)) {
              ASSERT_TRUE(first);
              first = false;
              if (subscribed->recovered) {
                ASSERT_EQ(subscribed->cursor, cursor) << "round " << round;
              }
              expected = *ParseCursor(subscribed->cursor);
              cursor = subscribed->cursor;
            } else if (auto* delivery = std::get_if<DeliveryMessage>(&message)) {
              cursor = delivery->cursor;
              if (!delivery->event->position.is_set()) continue;
              Position& at = expected[Index(delivery->event->channel.kind)];
              ++at.offset;
              ASSERT_EQ(delivery->event->position, at) << "round " << round;
            }
          }
          std::this_thread::yield();
        }
        engine_->CloseLink(reader.link);
        ++round;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(
      engine_->Stats("", "").figures.published[static_cast<size_t>(EventType::kTaskCompleted)],
      kPublishers * kEach);
}

}  // namespace
}  // namespace slipstream::notification
