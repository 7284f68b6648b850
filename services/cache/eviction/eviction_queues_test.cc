#include "services/cache/eviction/eviction_queues.h"

#include <random>
#include <set>

#include "gtest/gtest.h"

namespace slipstream::cache {
namespace {

constexpr EvictionRule kLru{EvictionRule::kLru};
constexpr EvictionRule kSieve{EvictionRule::kSieve};
constexpr EvictionRule kS3Fifo{EvictionRule::kS3Fifo};
constexpr EvictionRule kTinyLfu{EvictionRule::kTinyLfu, 1, 10};
constexpr EvictionRule kWideTinyLfu{EvictionRule::kTinyLfu, 40, 20};
constexpr EvictionRule kLirs{EvictionRule::kLirs, 1};

// Entries of weight 1, numbered; keeps to `max` entries.
class Cache {
 public:
  Cache(EvictionRule rule, int64_t max) : queues(rule, max), links_(5000) {}

  // True for a hit.
  bool Read(size_t number) {
    EntryLink& link = links_[number];
    if (held.count(number) > 0) {
      queues.Touch(&link);
      return true;
    }
    link = {.hash = number * 0x9e3779b97f4a7c15 + 1, .weight_bytes = 1};
    queues.Insert(&link);
    held.insert(number);
    while (queues.bytes() > queues.max_bytes()) Evict();
    return false;
  }
  size_t Evict() {
    const auto number = static_cast<size_t>(queues.Evict() - links_.data());
    EXPECT_EQ(held.erase(number), 1u);
    return number;
  }
  std::vector<size_t> EvictAll() {
    std::vector<size_t> out;
    while (!queues.empty()) out.push_back(Evict());
    return out;
  }
  void Remove(size_t number) {
    queues.Remove(&links_[number]);
    held.erase(number);
  }

  EvictionQueues queues;
  std::set<size_t> held;

 private:
  std::vector<EntryLink> links_;
};

TEST(EvictionQueuesTest, LruEvictsTheLongestUnread) {
  Cache cache(kLru, 4);
  for (const size_t number : {1, 2, 3, 4, 1, 2, 5}) cache.Read(number);
  EXPECT_EQ(cache.EvictAll(), (std::vector<size_t>{4, 1, 2, 5}));
}

TEST(EvictionQueuesTest, SieveSparesWhatWasReadAndKeepsItsPlace) {
  Cache cache(kSieve, 4);
  for (const size_t number : {1, 2, 3, 4, 1, 2}) cache.Read(number);
  cache.Read(5);  // the hand passes 1 and 2, takes 3 and stays before 4
  EXPECT_EQ(cache.held, (std::set<size_t>{1, 2, 4, 5}));
  cache.Read(6);
  EXPECT_EQ(cache.held, (std::set<size_t>{1, 2, 5, 6}));
  cache.Remove(5);  // where the hand is
  cache.Read(7);
  cache.Read(8);
  EXPECT_EQ(cache.held.count(6), 0u);
}

TEST(EvictionQueuesTest, S3FifoLetsAScanPassAndRecallsGhosts) {
  Cache cache(kS3Fifo, 100);
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < 80; ++i) cache.Read(i);
  }
  for (size_t i = 1000; i < 4000; ++i) cache.Read(i);
  for (size_t i = 0; i < 80; ++i) EXPECT_EQ(cache.held.count(i), 1u) << i;
  // One of the last that passed comes back, and outlives as many newcomers again.
  const size_t ghost = 3960;
  ASSERT_EQ(cache.held.count(ghost), 0u);
  cache.Read(ghost);
  for (size_t i = 4000; i < 4050; ++i) cache.Read(i);
  EXPECT_EQ(cache.held.count(ghost), 1u);
}

TEST(EvictionQueuesTest, TinyLfuAdmitsTheMoreFrequentOnly) {
  Cache cache(kTinyLfu, 100);
  for (int round = 0; round < 5; ++round) {
    for (size_t i = 0; i < 99; ++i) cache.Read(i);
  }
  for (size_t i = 1000; i < 1500; ++i) cache.Read(i);
  size_t left = 0;
  for (size_t i = 0; i < 99; ++i) left += cache.held.count(i);
  EXPECT_GE(left, 95u);
  // What is asked for again and again gets in although it is evicted each time at first.
  for (int i = 0; i < 30; ++i) {
    cache.Read(2000);
    cache.Read(static_cast<size_t>(3000 + i));
  }
  EXPECT_EQ(cache.held.count(2000), 1u);
}

TEST(EvictionQueuesTest, TinyLfuWithAMarginKeepsItsPartOfALoop) {
  Cache cache({EvictionRule::kTinyLfu, 1, 10, 1}, 100);
  auto round = [&] {
    size_t hits = 0;
    for (size_t i = 0; i < 800; ++i) hits += cache.Read(i);
    return hits;
  };
  for (int i = 0; i < 5; ++i) round();
  EXPECT_GE(round(), 95u);
}

TEST(EvictionQueuesTest, LirsKeepsItsPartOfALoop) {
  Cache cache(kLirs, 100);
  auto round = [&] {
    size_t hits = 0;
    for (size_t i = 0; i < 800; ++i) hits += cache.Read(i);
    return hits;
  };
  for (int i = 0; i < 3; ++i) round();
  EXPECT_EQ(round(), 99u);
}

TEST(EvictionQueuesTest, LirsMakesHotWhatIsReadSinceTheColdest) {
  Cache cache(kLirs, 100);
  for (size_t i = 0; i < 99; ++i) cache.Read(i);
  // All of these but the first 20 are read again, so that those are the coldest.
  for (size_t i = 20; i < 99; ++i) cache.Read(i);
  // Evicted one after the other, but each is read again after 40 others: since the coldest was.
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 1000; i < 1020; ++i) cache.Read(i);
  }
  for (size_t i = 1000; i < 1020; ++i) EXPECT_EQ(cache.held.count(i), 1u) << i;
  for (size_t i = 20; i < 99; ++i) EXPECT_EQ(cache.held.count(i), 1u) << i;
}

TEST(EvictionQueuesTest, LirsLetsAScanPass) {
  Cache cache(kLirs, 100);
  for (size_t i = 0; i < 99; ++i) cache.Read(i);
  for (size_t i = 1000; i < 4000; ++i) cache.Read(i);
  for (size_t i = 0; i < 99; ++i) EXPECT_EQ(cache.held.count(i), 1u) << i;
}

// Ages start again from 0 after 65,536 steps, each an eviction in so small a cache.
TEST(EvictionQueuesTest, LirsLetsGoWhatIsNotReadForVeryLong) {
  Cache cache(kLirs, 100);
  for (size_t i = 0; i < 99; ++i) cache.Read(i);
  for (size_t i = 0; i < 70'000; ++i) cache.Read(1000 + i % 4000);
  for (size_t i = 0; i < 99; ++i) EXPECT_EQ(cache.held.count(i), 0u) << i;
}

TEST(EvictionQueuesTest, RemovalsAndReadsLoseNothing) {
  for (const auto rule : {kLru, kSieve, kS3Fifo, kTinyLfu, kWideTinyLfu, kLirs}) {
    std::mt19937 random(1);
    Cache cache(rule, 200);
    for (int change = 0; change < 2000; ++change) {
      for (int i = 0; i < 20; ++i) cache.Read(random() % 600);
      if (change % 7 == 0 && !cache.held.empty()) cache.Remove(*cache.held.begin());
      ASSERT_EQ(cache.queues.count(), cache.held.size());
      ASSERT_EQ(cache.queues.bytes(), static_cast<int64_t>(cache.held.size()));
    }
    const size_t count = cache.held.size();
    EXPECT_EQ(cache.EvictAll().size(), count);
  }
}

TEST(EvictionQueuesTest, ANewWeightKeepsTheStanding) {
  EvictionQueues queues(kLru, 100);
  EntryLink a{.hash = 1, .weight_bytes = 10}, b{.hash = 2, .weight_bytes = 10};
  queues.Insert(&a);
  queues.Insert(&b);
  queues.Reweigh(&a, 30);
  EXPECT_EQ(queues.bytes(), 40);
  EXPECT_EQ(queues.Evict(), &a);
  EXPECT_EQ(queues.Evict(), &b);
  EXPECT_EQ(queues.bytes(), 0);
}

}  // namespace
}  // namespace slipstream::cache
