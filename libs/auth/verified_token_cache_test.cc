#include "libs/auth/verified_token_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace slipstream::auth {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'767'225'600);

std::shared_ptr<const Principal> Until(absl::Time expires_at, std::string user = "alice") {
  auto principal = std::make_shared<Principal>();
  principal->user = std::move(user);
  principal->expires_at = expires_at;
  return principal;
}

TEST(VerifiedTokenCacheTest, DigestIsSha256) {
  const VerifiedTokenCache cache(16);
  const auto digest = cache.DigestOf("abc");
  EXPECT_EQ(digest[0], 0xba);
  EXPECT_EQ(digest[31], 0xad);
  EXPECT_NE(digest, cache.DigestOf("abd"));
}

TEST(VerifiedTokenCacheTest, ServesUntilJustBeforeExp) {
  VerifiedTokenCache cache(16);
  const auto digest = cache.DigestOf("token");
  EXPECT_EQ(cache.Find(digest, 1, kNow), nullptr);
  const auto principal = Until(kNow + absl::Seconds(10));
  cache.Insert(digest, 1, kNow, principal);
  EXPECT_EQ(cache.Find(digest, 1, kNow), principal);
  EXPECT_EQ(cache.Find(digest, 1, kNow + absl::Seconds(10) - absl::Nanoseconds(1)), principal);
  EXPECT_EQ(cache.Find(digest, 1, kNow + absl::Seconds(10)), nullptr);
  EXPECT_EQ(cache.Stats().entry_count, 0u);
  cache.Insert(digest, 1, kNow + absl::Seconds(10), principal);
  EXPECT_EQ(cache.Stats().entry_count, 0u) << "within the leeway nothing is remembered";
}

TEST(VerifiedTokenCacheTest, ANewGenerationVoidsEverythingOlder) {
  VerifiedTokenCache cache(16);
  const auto digest = cache.DigestOf("token");
  cache.Insert(digest, 1, kNow, Until(kNow + absl::Hours(1)));
  EXPECT_EQ(cache.Find(digest, 2, kNow), nullptr);
  EXPECT_EQ(cache.Find(digest, 1, kNow), nullptr);
  // A verification that began before the change comes in late.
  cache.Insert(digest, 1, kNow, Until(kNow + absl::Hours(1)));
  EXPECT_EQ(cache.Find(digest, 2, kNow), nullptr);
}

TEST(VerifiedTokenCacheTest, StaysWithinItsBoundAndKeepsWhatIsUsed) {
  VerifiedTokenCache cache(64);
  const auto hot = cache.DigestOf("hot");
  cache.Insert(hot, 1, kNow, Until(kNow + absl::Hours(1), "hot"));
  for (int i = 0; i < 5000; ++i) {
    ASSERT_NE(cache.Find(hot, 1, kNow), nullptr) << i;
    cache.Insert(cache.DigestOf(std::to_string(i)), 1, kNow, Until(kNow + absl::Hours(1)));
    ASSERT_LE(cache.Stats().entry_count, 64u);
  }
  EXPECT_GT(cache.Stats().evictions_total, 4000u);
  EXPECT_EQ(cache.Find(hot, 1, kNow)->user, "hot");
}

TEST(VerifiedTokenCacheTest, ExpiredSlotsAreUsedAgain) {
  VerifiedTokenCache cache(16);
  for (int round = 0; round < 100; ++round) {
    const auto digest = cache.DigestOf(std::to_string(round));
    cache.Insert(digest, 1, kNow, Until(kNow + absl::Seconds(1)));
    EXPECT_NE(cache.Find(digest, 1, kNow), nullptr);
    EXPECT_EQ(cache.Find(digest, 1, kNow + absl::Seconds(1)), nullptr);
  }
  EXPECT_EQ(cache.Stats().evictions_total, 0u);
}

TEST(VerifiedTokenCacheTest, SizeZeroRemembersNothing) {
  VerifiedTokenCache cache(0);
  const auto digest = cache.DigestOf("token");
  cache.Insert(digest, 1, kNow, Until(kNow + absl::Hours(1)));
  EXPECT_EQ(cache.Find(digest, 1, kNow), nullptr);
}

TEST(VerifiedTokenCacheTest, ManyThreadsSeeOnlyTheirOwnTokens) {
  VerifiedTokenCache cache(128);
  std::atomic<uint64_t> generation{1};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 3000; ++i) {
        const std::string token = std::to_string(t) + "/" + std::to_string(i % 100);
        const auto digest = cache.DigestOf(token);
        const uint64_t current = generation.load();
        if (const auto found = cache.Find(digest, current, kNow)) {
          ASSERT_EQ(found->user, token);
        } else {
          cache.Insert(digest, current, kNow, Until(kNow + absl::Hours(1), token));
        }
        if (t == 0 && i % 1000 == 999) ++generation;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(cache.Stats().entry_count, 128u);
}

}  // namespace
}  // namespace slipstream::auth
