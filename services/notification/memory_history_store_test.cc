#include "services/notification/memory_history_store.h"

#include "gtest/gtest.h"
#include "services/notification/history_store_contract.h"

namespace slipstream::notification {
namespace {

std::unique_ptr<HistoryStore> MakeMemoryStore(const clock::Clock& clock, random::Random& random) {
  return std::make_unique<MemoryHistoryStore>(
      MemoryHistoryOptions{.history_events_count = 5, .history_ttl = absl::Hours(1)}, clock,
      random);
}
INSTANTIATE_TEST_SUITE_P(Memory, HistoryStoreContract, testing::Values(&MakeMemoryStore));

class MemoryHistoryStoreTest : public testing::Test {
 protected:
  void Append(HistoryStore& store, const std::string& channel, size_t bytes = 0,
              EventType type = EventType::kSystemAlert, const std::string& task = "",
              const std::string& key = "") {
    std::vector<AppendRequest> requests;
    requests.push_back(MakeAppend(clock_, "e", channel, type, task, key));
    requests[0].event.encoded.assign(bytes, 'x');
    EXPECT_TRUE(Await(runtime_.executor(), store.Append(std::move(requests))).ok());
  }
  ReadResult Read(HistoryStore& store, const std::string& channel,
                  std::optional<Position> after = std::nullopt) {
    return Await(runtime_.executor(), store.Read({{*ParseChannel(channel), "", after}}))->at(0);
  }

  clock::FakeClock clock_;
  random::SeededRandom random_{1};
  async::Runtime runtime_{1};
};

TEST_F(MemoryHistoryStoreTest, TheLeastRecentlyUsedChannelGoesFirstAndItsEpochChanges) {
  MemoryHistoryStore store({.max_channels_count = 3}, clock_, random_);
  for (const char* channel : {"user:a", "user:b", "user:c"}) Append(store, channel);
  const Position a = Read(store, "user:a").head;
  const Position b = Read(store, "user:b").head;
  Read(store, "user:a", a);
  Append(store, "user:d");  // c goes
  Append(store, "user:e");  // b goes
  EXPECT_EQ(store.Stats().channels_count, 3);
  EXPECT_EQ(store.Stats().evicted_channels_count, 2);
  EXPECT_FALSE(Read(store, "user:a", a).lost);
  EXPECT_TRUE(Read(store, "user:b", b).lost);
}

TEST_F(MemoryHistoryStoreTest, StaysWithinItsBytes) {
  MemoryHistoryStore store({.max_held_bytes = 20'000}, clock_, random_);
  for (int i = 0; i < 200; ++i) {
    Append(store, "user:" + std::to_string(i % 7), 1000);
    EXPECT_LE(store.Stats().held_bytes, 20'000);
  }
  for (int i = 0; i < 200; ++i) Append(store, "user:alone", 1000);
  EXPECT_LE(store.Stats().held_bytes, 20'000);
  const Position head = Read(store, "user:alone").head;
  EXPECT_GE(Read(store, "user:alone", Position{head.epoch, 0}).events.size(), 10u);
}

TEST_F(MemoryHistoryStoreTest, ProgressIsBoundedPerChannel) {
  MemoryHistoryStore store({.max_progress_count = 3}, clock_, random_);
  for (int i = 0; i < 10; ++i) {
    Append(store, "user:a", 10, EventType::kTaskProgress, "t" + std::to_string(i));
  }
  const Position head = Read(store, "user:a").head;
  EXPECT_EQ(Read(store, "user:a", head).events.size(), 3u);
}

TEST_F(MemoryHistoryStoreTest, HoldsNothingOnceAllHasExpired) {
  MemoryHistoryStore store({.history_ttl = absl::Hours(1)}, clock_, random_);
  Append(store, "user:a", 100, EventType::kTaskProgress, "t");
  Append(store, "user:a", 100, EventType::kTaskStarted, "t", "key");
  Append(store, "broadcast", 100);
  clock_.Advance(absl::Hours(1));
  store.Tick();
  const HistoryStats stats = store.Stats();
  EXPECT_EQ(stats.channels_count, 0);
  EXPECT_EQ(stats.events_count, 0);
  EXPECT_EQ(stats.held_bytes, 0);
}

TEST_F(MemoryHistoryStoreTest, IdempotencyKeysAreBounded) {
  MemoryHistoryStore store({.max_idempotency_keys_count = 2}, clock_, random_);
  for (const char* key : {"k1", "k2", "k3"}) {
    Append(store, "user:a", 0, EventType::kSystemAlert, "", key);
  }
  Append(store, "user:a", 0, EventType::kSystemAlert, "", "k3");
  EXPECT_EQ(Read(store, "user:a").head.offset, 3u);
  Append(store, "user:a", 0, EventType::kSystemAlert, "", "k1");
  EXPECT_EQ(Read(store, "user:a").head.offset, 4u);
}

}  // namespace
}  // namespace slipstream::notification
