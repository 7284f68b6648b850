// Channels, cursors, the backlog and the latency histogram: the plain parts.
#include <list>
#include <string>

#include "gtest/gtest.h"
#include "libs/random/random.h"
#include "services/notification/backlog.h"
#include "services/notification/channel.h"
#include "services/notification/cursor.h"
#include "services/notification/event.h"
#include "services/notification/figures.h"
#include "services/notification/presence_table.h"

namespace slipstream::notification {
namespace {

TEST(Channel, ParsesWhatItFormats) {
  for (const char* key : {"user:alice", "tenant:acme:north", "broadcast", "user:ä b"}) {
    const auto channel = ParseChannel(key);
    ASSERT_TRUE(channel) << key;
    EXPECT_EQ(channel->Key(), key);
  }
  for (const std::string& key :
       {std::string(), std::string("user:"), std::string("Broadcast"), std::string("broadcast:x"),
        std::string("group:a"), std::string("user:a\nb"), "user:" + std::string(300, 'a')}) {
    EXPECT_FALSE(ParseChannel(key)) << key;
  }
}

TEST(Channel, ASubscriberGetsItsOwnAndNoOther) {
  const auto channels = ChannelsOf("alice", "acme");
  ASSERT_EQ(channels.size(), 3u);
  EXPECT_EQ(channels[0].Key(), "user:alice");
  EXPECT_EQ(channels[1].Key(), "tenant:acme");
  EXPECT_EQ(channels[2].Key(), "broadcast");
  EXPECT_EQ(ChannelsOf("alice", "").size(), 2u);
}

TEST(Cursor, ParsesWhatItFormats) {
  Cursor cursor;
  cursor[0] = {0x5f3a, 12};
  cursor[2] = {~0ull, ~0ull};
  const std::string text = FormatCursor(cursor);
  EXPECT_EQ(text, "u0000000000005f3a:12.bffffffffffffffff:18446744073709551615");
  EXPECT_EQ(ParseCursor(text), cursor);
  cursor[1] = {1, 0};
  EXPECT_EQ(ParseCursor(FormatCursor(cursor)), cursor);
}

TEST(Cursor, RefusesAnythingElse) {
  for (const std::string& text :
       {std::string(""), std::string("u"), std::string("12"), std::string("x0000000000005f3a:1"),
        std::string("u000000000005f3a:1"), std::string("u0000000000005F3A:1"),
        std::string("u0000000000005f3a:"), std::string("u0000000000005f3a:01"),
        std::string("u0000000000005f3a:-1"), std::string("u0000000000005f3a:1."),
        std::string(".u0000000000005f3a:1"), std::string("u0000000000005f3a:1 "),
        std::string("u0000000000000000:1"), std::string("u0000000000005f3a:18446744073709551616"),
        std::string("u0000000000005f3a:1.u0000000000005f3a:2"), std::string(300, 'u')}) {
    EXPECT_FALSE(ParseCursor(text)) << text;
  }
}

EventPtr Make(const std::string& id, EventType type, const std::string& task, size_t bytes = 0) {
  auto event = std::make_shared<Event>();
  event->id = id;
  event->type = type;
  event->task_id = task;
  event->encoded.assign(bytes, 'x');
  return event;
}

TEST(Backlog, NewerProgressReplacesOlderAndStandsLast) {
  constexpr int64_t kMax = 1 << 20;
  Backlog backlog;
  EXPECT_EQ(backlog.Push(Make("p1", EventType::kTaskProgress, "t"), kMax), Backlog::Outcome::kKept);
  backlog.Push(Make("a", EventType::kSystemAlert, ""), kMax);
  backlog.Push(Make("q1", EventType::kTaskProgress, "other"), kMax);
  EXPECT_EQ(backlog.Push(Make("p2", EventType::kTaskProgress, "t"), kMax),
            Backlog::Outcome::kReplacedOlder);
  std::string order;
  while (!backlog.empty()) order += backlog.Pop()->id + " ";
  EXPECT_EQ(order, "a q1 p2 ");
  EXPECT_EQ(backlog.held_bytes(), 0);
}

TEST(Backlog, RefusesBeyondItsBytesAndStaysAsItWas) {
  Backlog backlog;
  const EventPtr event = Make("a", EventType::kTaskCompleted, "t", 1000);
  const auto one = static_cast<int64_t>(event->HeldBytes());
  EXPECT_EQ(backlog.Push(event, 2 * one), Backlog::Outcome::kKept);
  EXPECT_EQ(backlog.Push(event, 2 * one), Backlog::Outcome::kKept);
  EXPECT_EQ(backlog.Push(event, 2 * one), Backlog::Outcome::kFull);
  EXPECT_EQ(backlog.held_bytes(), 2 * one);
  backlog.Pop();
  EXPECT_EQ(backlog.Push(event, 2 * one), Backlog::Outcome::kKept);
}

// Behind an event that waits, what is replaced leaves no trace.
TEST(Backlog, WhatIsReplacedTakesNoPlace) {
  constexpr int64_t kMax = 1 << 20;
  Backlog backlog;
  backlog.Push(Make("a", EventType::kSystemAlert, ""), kMax);
  for (int i = 0; i < 10'000; ++i) {
    backlog.Push(Make("p" + std::to_string(i), EventType::kTaskProgress, "t"), kMax);
    ASSERT_LE(backlog.places_count(), 20u);
  }
  EXPECT_EQ(backlog.Pop()->id, "a");
  EXPECT_EQ(backlog.Pop()->id, "p9999");
  EXPECT_TRUE(backlog.empty());
}

TEST(Backlog, IsAListWhateverComesAndGoes) {
  constexpr int64_t kMax = 1 << 20;
  random::SeededRandom random(5);
  Backlog backlog;
  std::list<EventPtr> model;
  for (int i = 0; i < 50'000; ++i) {
    // It grows and shrinks in turn.
    const bool push = random.Uniform(100) < (i / 5'000 % 2 == 0 ? 60u : 40u);
    if (push) {
      const bool progress = random.Uniform(2) == 0;
      const std::string task = progress ? "t" + std::to_string(random.Uniform(20)) : "";
      const EventPtr event = Make(
          std::to_string(i), progress ? EventType::kTaskProgress : EventType::kSystemAlert, task);
      if (progress) {
        model.remove_if([&](const EventPtr& old) {
          return old->type == EventType::kTaskProgress && old->task_id == task;
        });
      }
      model.push_back(event);
      backlog.Push(event, kMax);
    } else if (!model.empty()) {
      ASSERT_EQ(backlog.Front(), model.front());
      ASSERT_EQ(backlog.Pop(), model.front());
      model.pop_front();
    }
    ASSERT_EQ(backlog.empty(), model.empty());
  }
  while (!model.empty()) {
    ASSERT_EQ(backlog.Pop(), model.front());
    model.pop_front();
  }
  EXPECT_EQ(backlog.held_bytes(), 0);
}

TEST(Backlog, ProgressOfOneTaskNeverFillsIt) {
  Backlog backlog;
  const auto one = static_cast<int64_t>(Make("p", EventType::kTaskProgress, "t")->HeldBytes());
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_NE(backlog.Push(Make("p", EventType::kTaskProgress, "t"), 2 * one),
              Backlog::Outcome::kFull);
  }
  EXPECT_EQ(backlog.held_bytes(), one);
}

TEST(LatencyHistogram, QuantilesAreWithinABucket) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.Quantile(0.5), absl::ZeroDuration());
  for (int i = 0; i < 98; ++i) histogram.Add(absl::Microseconds(100));
  for (int i = 0; i < 2; ++i) histogram.Add(absl::Milliseconds(40));
  EXPECT_NEAR(absl::ToDoubleMicroseconds(histogram.Quantile(0.5)), 100, 45);
  EXPECT_NEAR(absl::ToDoubleMilliseconds(histogram.Quantile(0.99)), 40, 18);
}

TEST(PresenceTable, CountsConnectionsAndForgetsThoseLongAway) {
  PresenceTable table(absl::Hours(1));
  const absl::Time start = absl::UnixEpoch();
  table.Connected("alice", "acme", start);
  table.Connected("alice", "acme", start);
  table.Connected("bob", "acme", start);
  EXPECT_EQ(table.connected_users_count(), 2);
  EXPECT_EQ(table.FindTenant("acme")->users_count, 2);
  table.Disconnected("alice", "acme", start + absl::Minutes(1));
  EXPECT_EQ(table.ConnectionsOf("alice"), 1);
  table.Disconnected("alice", "acme", start + absl::Minutes(2));
  EXPECT_EQ(table.connected_users_count(), 1);
  EXPECT_EQ(table.FindUser("alice")->last_seen_at, start + absl::Minutes(2));
  table.Forget(start + absl::Minutes(61));
  EXPECT_NE(table.FindUser("alice"), nullptr);
  table.Forget(start + absl::Minutes(62));
  EXPECT_EQ(table.FindUser("alice"), nullptr);
  EXPECT_NE(table.FindUser("bob"), nullptr) << "connected users stay";
}

}  // namespace
}  // namespace slipstream::notification
