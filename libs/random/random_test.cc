#include "libs/random/random.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

#include "libs/clock/fake_clock.h"

namespace slipstream::random {
namespace {

// Hands out the given values in turn.
class ScriptedRandom final : public Random {
 public:
  explicit ScriptedRandom(std::vector<uint64_t> values) : values_(std::move(values)) {}
  uint64_t Next64() override { return values_.at(next_++); }
  size_t used_count() const { return next_; }

 private:
  std::vector<uint64_t> values_;
  size_t next_ = 0;
};

TEST(SeededRandomTest, IsTheStandardSequenceOfItsSeed) {
  SeededRandom random(5489);  // mt19937_64's default seed
  uint64_t last = 0;
  for (int i = 0; i < 10000; ++i) last = random.Next64();
  EXPECT_EQ(last, 9981545732273789042ULL);  // given by the C++ standard, [rand.predef]
}

TEST(SeededRandomTest, SeedsDiffer) {
  SeededRandom one(1), again(1), two(2);
  const uint64_t value = one.Next64();
  EXPECT_EQ(value, again.Next64());
  EXPECT_NE(value, two.Next64());
}

TEST(SystemRandomTest, DoesNotRepeatAcrossBuffersThreadsOrInstances) {
  SystemRandom shared, other;
  constexpr int kValueCount = 1000;
  std::vector<std::vector<uint64_t>> drawn(4);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      Random& random = t == 3 ? other : shared;
      for (int i = 0; i < kValueCount; ++i) drawn[t].push_back(random.Next64());
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<uint64_t> all;
  for (const auto& values : drawn) all.insert(values.begin(), values.end());
  EXPECT_EQ(all.size(), 4u * kValueCount);
  EXPECT_EQ(all.count(0), 0u);  // a wiped slot was never handed out
}

TEST(RandomTest, UniformStaysInBoundAndReachesEveryValue) {
  SeededRandom random(7);
  std::vector<int> hits(6);
  for (int i = 0; i < 60000; ++i) {
    const uint64_t value = random.Uniform(6);
    ASSERT_LT(value, 6u);
    ++hits[value];
  }
  for (int hit : hits) EXPECT_NEAR(hit, 10000, 500);
  EXPECT_EQ(random.Uniform(1), 0u);
  EXPECT_EQ(random.Uniform(0), 0u);
}

TEST(RandomTest, UniformRefusesTheValuesThatWouldBiasIt) {
  // 2^64 = 1 mod 3, so exactly the value 0 must be drawn again.
  ScriptedRandom random({0, 5});
  EXPECT_EQ(random.Uniform(3), 2u);
  EXPECT_EQ(random.used_count(), 2u);
}

TEST(RandomTest, NextDoubleIsBelowOneEvenForAllBitsSet) {
  ScriptedRandom random({~uint64_t{0}, 0, uint64_t{1} << 63});
  EXPECT_LT(random.NextDouble(), 1.0);
  EXPECT_EQ(random.NextDouble(), 0.0);
  EXPECT_EQ(random.NextDouble(), 0.5);
}

TEST(RandomTest, BytesHasTheLengthAskedFor) {
  SeededRandom random(1);
  for (size_t count : {0, 1, 7, 8, 9, 33}) EXPECT_EQ(random.Bytes(count).size(), count);
  EXPECT_NE(random.Bytes(16), random.Bytes(16));
}

TEST(Uuid7Test, MatchesTheExampleOfTheRfc) {
  // RFC 9562, appendix A.6: 2022-02-22T14:22:22-05:00, rand_a CC3, rand_b 18C4DC0C0C07398F.
  clock::FakeClock clock(absl::FromUnixMillis(0x017F22E279B0));
  ScriptedRandom random({uint64_t{0xCC3} << 52, uint64_t{0x18C4DC0C0C07398F} << 2});
  EXPECT_EQ(Uuid7(clock, random), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

TEST(Uuid7Test, VersionAndVariantHoldForAnyBits) {
  clock::FakeClock clock;
  ScriptedRandom random({~uint64_t{0}, ~uint64_t{0}, 0, 0});
  const std::string ones = Uuid7(clock, random);
  const std::string zeros = Uuid7(clock, random);
  EXPECT_EQ(ones.substr(14), "7fff-bfff-ffffffffffff");
  EXPECT_EQ(zeros.substr(14), "7000-8000-000000000000");
}

TEST(Uuid7Test, SortsByTimeAndSurvivesTimesItCannotHold) {
  clock::FakeClock clock;
  SeededRandom random(3);
  const std::string first = Uuid7(clock, random);
  clock.Advance(absl::Milliseconds(1));
  EXPECT_LT(first, Uuid7(clock, random));
  clock::FakeClock past(absl::FromUnixSeconds(-1)), future(absl::InfiniteFuture());
  EXPECT_EQ(Uuid7(past, random).substr(0, 15), "00000000-0000-7");
  EXPECT_EQ(Uuid7(future, random).substr(0, 15), "ffffffff-ffff-7");
}

}  // namespace
}  // namespace slipstream::random
