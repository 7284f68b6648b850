#include "services/cache/shard_groups.h"

#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace slipstream::cache {
namespace {

// Every key once, with the other keys of its shard, in the order of their numbers.
void ExpectGroups(const std::vector<size_t>& shard_of) {
  const ShardGroups groups(shard_of.size(), [&](size_t i) { return shard_of[i]; });
  std::vector<int> seen(shard_of.size()), shards(ShardGroups::kMaxShardsCount);
  groups.ForEach([&](size_t shard, absl::Span<const uint8_t> keys) {
    EXPECT_FALSE(keys.empty());
    EXPECT_EQ(++shards[shard], 1) << "visited twice: " << shard;
    for (size_t i = 0; i < keys.size(); ++i) {
      ASSERT_LT(keys[i], shard_of.size());
      ++seen[keys[i]];
      EXPECT_EQ(shard_of[keys[i]], shard);
      if (i > 0) EXPECT_LT(keys[i - 1], keys[i]);
    }
  });
  for (const int times : seen) EXPECT_EQ(times, 1);
}

TEST(ShardGroupsTest, HasEachKeyOnce) {
  ExpectGroups({});
  ExpectGroups({5});
  ExpectGroups({63, 0, 63, 1, 0});
  ExpectGroups(std::vector<size_t>(ShardGroups::kMaxKeysCount, 0));
  ExpectGroups(std::vector<size_t>(ShardGroups::kMaxKeysCount, 63));
  std::vector<size_t> each;
  for (size_t i = 0; i < ShardGroups::kMaxKeysCount; ++i) each.push_back(63 - i);
  ExpectGroups(each);
}

TEST(ShardGroupsTest, HasEachKeyOnceWhateverTheShards) {
  std::mt19937 random(11);
  for (int round = 0; round < 500; ++round) {
    std::vector<size_t> shard_of(1 + random() % ShardGroups::kMaxKeysCount);
    const size_t shards = 1 + random() % ShardGroups::kMaxShardsCount;
    for (auto& shard : shard_of) shard = random() % shards;
    ExpectGroups(shard_of);
  }
}

}  // namespace
}  // namespace slipstream::cache
