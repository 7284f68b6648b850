#include "services/cache/eviction/shadow_caches.h"

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"

namespace slipstream::cache {
namespace {

// The cache holds another part of the loop than the shadow of the rule in force, and so has as many
// hits a round, but later in it: that is no broken promise.
TEST(ShadowCachesTest, APartOfARoundIsNoReasonForDistrust) {
  constexpr size_t kRoom = 400, kLoop = 2000;
  ShadowCaches shadows(2 * kRoom, 100'000);
  shadows.HalveSample();
  std::vector<EntryLink> loop;
  for (uint64_t key = 0; loop.size() < kLoop; ++key) {
    uint64_t hash = (key + 1) * 0x9e3779b97f4a7c15;
    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
    hash ^= hash >> 27;
    if (shadows.Sampled(hash)) loop.push_back({.hash = hash, .weight_bytes = 1});
  }
  for (int round = 0; round < 2; ++round) {
    for (size_t at = 0; at < kLoop; ++at) {
      const bool held = round > 0 && at >= kLoop - kRoom;
      shadows.Read(&loop[at], held, nullptr);
      if (!shadows.due()) continue;
      const auto verdict = shadows.Judge(0);
      const double most = *std::max_element(verdict.hits.begin(), verdict.hits.end());
      if (round == 0) continue;
      ASSERT_GT(verdict.hits[0], most / 2) << "at " << at;
    }
  }
}

}  // namespace
}  // namespace slipstream::cache
