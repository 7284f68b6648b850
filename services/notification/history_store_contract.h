// What every HistoryStore must do. Instantiated once per implementation:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, HistoryStoreContract, testing::Values(&MakeMemoryStore));
#ifndef SERVICES_NOTIFICATION_HISTORY_STORE_CONTRACT_H_
#define SERVICES_NOTIFICATION_HISTORY_STORE_CONTRACT_H_

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/clock/fake_clock.h"
#include "libs/random/random.h"
#include "services/notification/engine_testing.h"
#include "services/notification/history_store.h"

namespace slipstream::notification {

// A store that keeps 5 events per channel for an hour.
using MakeStore = std::unique_ptr<HistoryStore> (*)(const clock::Clock&, random::Random&);

class HistoryStoreContract : public testing::TestWithParam<MakeStore> {
 protected:
  static constexpr int kKeptCount = 5;
  static constexpr absl::Duration kTtl = absl::Hours(1);

  Appended Append(const std::string& id, const std::string& channel = "user:alice",
                  EventType type = EventType::kSystemAlert, const std::string& task_id = "",
                  const std::string& key = "") {
    std::vector<AppendRequest> requests;
    requests.push_back(MakeAppend(clock_, id, channel, type, task_id, key));
    auto out = Await(runtime_.executor(), store_->Append(std::move(requests)));
    EXPECT_TRUE(out.ok()) << out.status();
    return out->at(0);
  }
  ReadResult Read(std::optional<Position> after, const std::string& channel = "user:alice",
                  const std::string& reader = "") {
    auto out = Await(runtime_.executor(), store_->Read({{*ParseChannel(channel), reader, after}}));
    EXPECT_TRUE(out.ok()) << out.status();
    return out->at(0);
  }
  int Acknowledge(Position up_to, const std::string& reader = "alice",
                  const std::string& channel = "user:alice") {
    auto out =
        Await(runtime_.executor(), store_->Acknowledge({{*ParseChannel(channel), reader, up_to}}));
    EXPECT_TRUE(out.ok()) << out.status();
    return out->at(0);
  }

  clock::FakeClock clock_;
  random::SeededRandom random_{1};
  async::Runtime runtime_{1};
  std::unique_ptr<HistoryStore> store_ = GetParam()(clock_, random_);
};

using Names = std::vector<std::string>;

TEST_P(HistoryStoreContract, OffsetsStartAtOneWithoutGaps) {
  const Position start = Read(std::nullopt).head;
  EXPECT_TRUE(start.is_set());
  EXPECT_EQ(start.offset, 0u);
  for (uint64_t i = 1; i <= 8; ++i) {
    const Appended appended = Append("e" + std::to_string(i));
    EXPECT_EQ(appended.position, (Position{start.epoch, i}));
    EXPECT_EQ(appended.event->position, appended.position);
    EXPECT_FALSE(appended.duplicate);
  }
  EXPECT_EQ(Read(std::nullopt).head, (Position{start.epoch, 8}));
}

TEST_P(HistoryStoreContract, ReadsWhatFollowsEveryKeptOffset) {
  const uint64_t epoch = Read(std::nullopt).head.epoch;
  for (int i = 1; i <= kKeptCount; ++i) Append("e" + std::to_string(i));
  for (uint64_t after = 0; after <= kKeptCount; ++after) {
    Names expected;
    for (uint64_t i = after + 1; i <= kKeptCount; ++i) expected.push_back("e" + std::to_string(i));
    const ReadResult read = Read(Position{epoch, after});
    EXPECT_FALSE(read.lost) << after;
    EXPECT_EQ(Ids(read.events), expected) << after;
    EXPECT_EQ(read.head, (Position{epoch, kKeptCount}));
  }
}

TEST_P(HistoryStoreContract, SaysLostBeyondTheBoundAndGivesTheRest) {
  const uint64_t epoch = Read(std::nullopt).head.epoch;
  for (int i = 1; i <= 7; ++i) Append("e" + std::to_string(i));
  EXPECT_FALSE(Read(Position{epoch, 2}).lost);
  const ReadResult read = Read(Position{epoch, 1});
  EXPECT_TRUE(read.lost);
  EXPECT_EQ(Ids(read.events), (Names{"e3", "e4", "e5", "e6", "e7"}));
}

TEST_P(HistoryStoreContract, SaysLostForAForeignEpochAndForTheFuture) {
  const uint64_t epoch = Read(std::nullopt).head.epoch;
  Append("e1");
  const ReadResult foreign = Read(Position{epoch + 1, 1});
  EXPECT_TRUE(foreign.lost);
  EXPECT_EQ(Ids(foreign.events), Names{"e1"});
  const ReadResult future = Read(Position{epoch, 2});
  EXPECT_TRUE(future.lost);
  EXPECT_TRUE(future.events.empty());
  EXPECT_EQ(future.head, (Position{epoch, 1}));
}

TEST_P(HistoryStoreContract, ChannelsAreApart) {
  Append("a", "user:alice");
  Append("b", "user:bob");
  Append("t", "tenant:alice");
  const Position alice = Read(std::nullopt, "user:alice").head;
  const Position bob = Read(std::nullopt, "user:bob").head;
  EXPECT_NE(alice.epoch, bob.epoch);
  EXPECT_EQ(Ids(Read(Position{alice.epoch, 0}, "user:alice").events), Names{"a"});
  EXPECT_TRUE(Read(Position{alice.epoch, 0}, "user:bob").lost);
}

TEST_P(HistoryStoreContract, ForgetsByTimeAndSaysSo) {
  const uint64_t epoch = Read(std::nullopt).head.epoch;
  Append("old");
  clock_.Advance(kTtl / 2);
  Append("young");
  clock_.Advance(kTtl / 2);
  store_->Tick();
  const ReadResult read = Read(Position{epoch, 0});
  EXPECT_TRUE(read.lost);
  EXPECT_EQ(Ids(read.events), Names{"young"});
  EXPECT_FALSE(Read(Position{epoch, 1}).lost);
}

TEST_P(HistoryStoreContract, AKeyAppendsOncePerChannelForADay) {
  const Appended first = Append("e1", "user:alice", EventType::kTaskStarted, "t", "key");
  const Appended again = Append("e2", "user:alice", EventType::kTaskStarted, "t", "key");
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.event, nullptr);
  EXPECT_EQ(again.event_id, "e1");
  EXPECT_EQ(again.position, first.position);
  EXPECT_FALSE(Append("e3", "user:bob", EventType::kTaskStarted, "t", "key").duplicate);
  EXPECT_EQ(Read(std::nullopt).head.offset, 1u);
  clock_.Advance(kIdempotencyWindow);
  EXPECT_FALSE(Append("e4", "user:alice", EventType::kTaskStarted, "t", "key").duplicate);
}

TEST_P(HistoryStoreContract, AKeyTwiceInOneBatchAppendsOnce) {
  std::vector<AppendRequest> requests;
  for (const char* id : {"e1", "e2"}) {
    requests.push_back(MakeAppend(clock_, id, "user:alice", EventType::kSystemAlert, "", "key"));
  }
  auto out = Await(runtime_.executor(), store_->Append(std::move(requests)));
  ASSERT_TRUE(out.ok());
  EXPECT_FALSE((*out)[0].duplicate);
  EXPECT_TRUE((*out)[1].duplicate);
}

TEST_P(HistoryStoreContract, ProgressHasNoPositionAndPushesNothingOut) {
  const uint64_t epoch = Read(std::nullopt).head.epoch;
  for (int i = 1; i <= kKeptCount; ++i) {
    Append("done" + std::to_string(i), "user:alice", EventType::kTaskCompleted,
           "t" + std::to_string(i));
  }
  for (int i = 0; i < 100; ++i) {
    const Appended appended =
        Append("p" + std::to_string(i), "user:alice", EventType::kTaskProgress, "running");
    EXPECT_FALSE(appended.position.is_set());
    ASSERT_NE(appended.event, nullptr);
  }
  const ReadResult read = Read(Position{epoch, 0});
  EXPECT_FALSE(read.lost);
  EXPECT_EQ(Ids(read.events), (Names{"done1", "done2", "done3", "done4", "done5", "p99"}));
}

TEST_P(HistoryStoreContract, ProgressStandsWhereItWasPublishedAndEndsWithItsTask) {
  const uint64_t epoch = Read(std::nullopt).head.epoch;
  Append("start", "user:alice", EventType::kTaskStarted, "t1");
  Append("p1", "user:alice", EventType::kTaskProgress, "t1");
  Append("p2", "user:alice", EventType::kTaskProgress, "t2");
  Append("alert");
  EXPECT_EQ(Ids(Read(Position{epoch, 0}).events), (Names{"start", "p1", "p2", "alert"}));
  // Published before what the reader saw last: it saw these too.
  EXPECT_EQ(Ids(Read(Position{epoch, 2}).events), Names{});
  EXPECT_EQ(Ids(Read(Position{epoch, 1}).events), (Names{"p1", "p2", "alert"}));
  Append("done", "user:alice", EventType::kTaskCompleted, "t1");
  EXPECT_EQ(Ids(Read(Position{epoch, 0}).events), (Names{"start", "p2", "alert", "done"}));
}

TEST_P(HistoryStoreContract, WhatIsAcknowledgedIsNotReadAgain) {
  const uint64_t epoch = Read(std::nullopt).head.epoch;
  for (int i = 1; i <= 4; ++i) Append("e" + std::to_string(i));
  EXPECT_EQ(Acknowledge({epoch, 0}), 4);
  EXPECT_EQ(Acknowledge({epoch, 3}), 1);
  EXPECT_EQ(Acknowledge({epoch, 2}), 1) << "it does not go back";
  EXPECT_EQ(Acknowledge({epoch + 1, 9}), 1) << "of another epoch";
  EXPECT_EQ(Acknowledge({epoch, 99}), 1) << "of the future";
  EXPECT_EQ(Ids(Read(Position{epoch, 1}, "user:alice", "alice").events), Names{"e4"});
  EXPECT_EQ(Ids(Read(Position{epoch, 1}, "user:alice", "bob").events), (Names{"e2", "e3", "e4"}));
  EXPECT_EQ(Ids(Read(Position{epoch, 4}, "user:alice", "alice").events), Names{});
  // A device with an older epoch missed nothing that another one has not seen.
  const ReadResult foreign = Read(Position{epoch + 1, 1}, "user:alice", "alice");
  EXPECT_FALSE(foreign.lost);
  EXPECT_EQ(Ids(foreign.events), Names{"e4"});
}

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_HISTORY_STORE_CONTRACT_H_
