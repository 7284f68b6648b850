#include "services/cache/eviction/coarse_shadows.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "services/cache/eviction/eviction_queues.h"

namespace slipstream::cache {
namespace {

enum Rule : size_t { kLirs, kS3Fifo, kWideLirs, kLru, kFrequency };

uint64_t HashOf(uint64_t key) {
  key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9 + 0x9e3779b97f4a7c15;
  key = (key ^ (key >> 27)) * 0x94d049bb133111eb;
  return key ^ (key >> 31);
}

// Each rule beside the same with lists, over the same reads of keys of weight 1.
class Comparison {
 public:
  static constexpr size_t kKeys = 100'000;
  explicit Comparison(int64_t max) : max_(max), coarse_(max) {
    for (const EvictionRule rule :
         {EvictionRule{EvictionRule::kLirs, 1}, EvictionRule{EvictionRule::kS3Fifo},
          EvictionRule{EvictionRule::kLirs, 30}, EvictionRule{EvictionRule::kLru}}) {
      exact_.push_back(std::make_unique<EvictionQueues>(rule, max));
      links_.emplace_back(kKeys);
    }
  }
  void Read(uint64_t key) {
    const auto hits = coarse_.Read(HashOf(key), 1, static_cast<size_t>(max_)).hits;
    for (size_t i = 0; i < CoarseShadows::kCount; ++i) coarse_hits[i] += hits >> i & 1;
    for (size_t i = 0; i < exact_.size(); ++i) {
      EntryLink& link = links_[i][key];
      if (link.weight_bytes > 0) {
        ++exact_hits[i];
        exact_[i]->Touch(&link);
        continue;
      }
      link = {.hash = HashOf(key), .weight_bytes = 1};
      exact_[i]->Insert(&link);
      while (exact_[i]->bytes() > max_) exact_[i]->Evict()->weight_bytes = 0;
    }
    ++reads;
  }
  // In points of hit ratio.
  double Difference(Rule rule) const {
    return 100 * (static_cast<double>(coarse_hits[rule]) - static_cast<double>(exact_hits[rule])) /
           static_cast<double>(reads);
  }
  double CoarsePercent(Rule rule) const {
    return 100.0 * static_cast<double>(coarse_hits[rule]) / static_cast<double>(reads);
  }

  std::array<size_t, CoarseShadows::kCount> coarse_hits{}, exact_hits{};
  size_t reads = 0;

 private:
  const int64_t max_;
  CoarseShadows coarse_;
  std::vector<std::unique_ptr<EvictionQueues>> exact_;
  std::vector<std::vector<EntryLink>> links_;
};

class CoarseShadowsTest : public testing::Test {
 protected:
  uint64_t Skewed(uint64_t keys_count) {
    const double u = std::uniform_real_distribution<double>(0, 1)(random_);
    return static_cast<uint64_t>(std::pow(static_cast<double>(keys_count), u)) - 1;
  }
  std::mt19937_64 random_{7};
};

TEST_F(CoarseShadowsTest, OfSkewedKeysTheyHaveWhatListsHave) {
  Comparison compared(3000);
  for (int i = 0; i < 300'000; ++i) compared.Read(Skewed(60'000));
  for (const Rule rule : {kLirs, kS3Fifo, kWideLirs, kLru}) {
    EXPECT_NEAR(compared.Difference(rule), 0, 1) << "rule " << rule;
  }
  EXPECT_GT(compared.CoarsePercent(kFrequency), compared.CoarsePercent(kLru));
}

TEST_F(CoarseShadowsTest, OfRecentKeysTheyHaveWhatListsHave) {
  Comparison compared(2000);
  std::exponential_distribution<double> back(1 / 1000.0);
  uint64_t newest = 50'000;
  for (int i = 0; i < 150'000; ++i) {
    if (random_() % 4 == 0) ++newest;
    compared.Read(newest - std::min<uint64_t>(newest, static_cast<uint64_t>(back(random_))));
  }
  for (const Rule rule : {kLirs, kS3Fifo, kWideLirs, kLru}) {
    EXPECT_NEAR(compared.Difference(rule), 0, rule == kWideLirs ? 4 : 2) << "rule " << rule;
  }
}

TEST_F(CoarseShadowsTest, OfALoopLirsAndFrequencyHoldTheSamePart) {
  Comparison compared(3000);
  for (int i = 0; i < 200'000; ++i) compared.Read(static_cast<uint64_t>(i % 5000));
  EXPECT_NEAR(compared.Difference(kLirs), 0, 3);
  EXPECT_NEAR(compared.Difference(kWideLirs), 0, 10);
  EXPECT_GT(compared.CoarsePercent(kFrequency), 35);
  EXPECT_LT(compared.CoarsePercent(kLru), 1);
}

TEST_F(CoarseShadowsTest, AScanPassesAllButLru) {
  CoarseShadows shadows(1000);
  for (int round = 0; round < 5; ++round) {
    for (uint64_t key = 0; key < 700; ++key) shadows.Read(HashOf(key), 1, 1000);
  }
  for (uint64_t key = 10'000; key < 12'000; ++key) shadows.Read(HashOf(key), 1, 1000);
  std::array<size_t, CoarseShadows::kCount> held{};
  for (uint64_t key = 0; key < 700; ++key) {
    const auto votes = shadows.VotesOf(HashOf(key));
    for (size_t i = 0; i < held.size(); ++i) held[i] += votes >> i & 1;
  }
  EXPECT_EQ(held[kLirs], 700u);
  EXPECT_EQ(held[kS3Fifo], 700u);
  EXPECT_EQ(held[kFrequency], 700u);
  EXPECT_EQ(held[kLru], 0u);
}

// What a rule holds is never more than its room, whatever comes and goes.
TEST_F(CoarseShadowsTest, NoRuleHoldsMoreThanItsRoom) {
  constexpr int64_t kMax = 400'000;
  constexpr uint64_t kKeys = 20'000;
  CoarseShadows shadows(kMax);
  std::vector<uint32_t> weights(kKeys);
  for (int i = 0; i < 400'000; ++i) {
    const uint64_t key = Skewed(kKeys);
    const auto chance = random_() % 100;
    if (weights[key] == 0 || chance == 0) {
      weights[key] = static_cast<uint32_t>(1 + random_() % (key % 50 == 0 ? 5000 : 200));
      shadows.Reweigh(HashOf(key), weights[key]);
    }
    if (chance == 1) {
      shadows.Remove(HashOf(key));
      EXPECT_EQ(shadows.VotesOf(HashOf(key)), 0);
      weights[key] = 0;
      continue;
    }
    shadows.Read(HashOf(key), weights[key], 4000);
    if (i % 40'000 != 0) continue;
    std::array<int64_t, CoarseShadows::kCount> held{};
    for (uint64_t at = 0; at < kKeys; ++at) {
      const auto votes = shadows.VotesOf(HashOf(at));
      for (size_t rule = 0; rule < held.size(); ++rule) {
        if (votes >> rule & 1) held[rule] += weights[at];
      }
    }
    // Weights are rounded to 0.1 %, and an epoch is not divided.
    for (size_t rule = 0; rule < held.size(); ++rule) {
      EXPECT_LT(held[rule], kMax * 104 / 100) << "rule " << rule << " after " << i;
    }
  }
  // Nothing of what has gone is still counted: there is room for as much again.
  for (uint64_t key = 0; key < kKeys; ++key) shadows.Remove(HashOf(key));
  for (uint64_t key = kKeys; key < kKeys + 3900; ++key) shadows.Read(HashOf(key), 100, 4000);
  std::array<int, CoarseShadows::kCount> held{};
  for (uint64_t key = kKeys; key < kKeys + 3900; ++key) {
    const auto votes = shadows.VotesOf(HashOf(key));
    for (size_t rule = 0; rule < held.size(); ++rule) held[rule] += votes >> rule & 1;
  }
  for (size_t rule = 0; rule < held.size(); ++rule) EXPECT_GT(held[rule], 3800) << "rule " << rule;
}

// Time counts to 65,535 and starts again, frequencies were halved in between, and what was held
// before is not taken for what was read lately.
TEST_F(CoarseShadowsTest, WhatIsLongAgoIsForgotten) {
  CoarseShadows shadows(100);
  for (int round = 0; round < 10; ++round) {
    for (uint64_t key = 0; key < 50; ++key) shadows.Read(HashOf(key), 1, 100);
  }
  uint64_t fresh = 1000;
  for (int i = 0; i < 200'000; ++i) {
    shadows.Read(HashOf(++fresh), 1, 100);
    if (i < 20'000 || i % 1000 != 0) continue;
    for (uint64_t key = 0; key < 50; ++key) ASSERT_EQ(shadows.VotesOf(HashOf(key)), 0) << i;
  }
}

TEST_F(CoarseShadowsTest, MemoryIsSomeSixtyBytesAnEntry) {
  CoarseShadows shadows(100'000);
  const size_t before = shadows.memory_bytes();
  for (uint64_t key = 0; key < 1'000'000; ++key)
    shadows.Read(HashOf(key), 1, std::min<uint64_t>(key + 1, 100'000));
  EXPECT_LT(shadows.memory_bytes(), before + 100'000 * 76);
  EXPECT_LT(before, 120'000u);
}

TEST(ShortWeightTest, IsWithinATenthOfAPercent) {
  for (const uint32_t bytes : {0u, 1u, 2047u, 2048u, 4097u, 1'000'000u, 0x7fffffffu, UINT32_MAX}) {
    const int64_t rounded = ShortWeight(bytes).bytes();
    EXPECT_LE(rounded, bytes);
    EXPECT_GE(rounded, bytes - int64_t{bytes} / 1000);
  }
  EXPECT_EQ(ShortWeight(2047).bytes(), 2047);
  EXPECT_EQ(ShortWeight(2048).bytes(), 2048);
}

}  // namespace
}  // namespace slipstream::cache
