// Which keys of one call are in which shard, so that each shard is locked once for all of them.
//
// Thread safety: immutable.
#ifndef SERVICES_CACHE_SHARD_GROUPS_H_
#define SERVICES_CACHE_SHARD_GROUPS_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace slipstream::cache {

class ShardGroups {
 public:
  static constexpr size_t kMaxShardsCount = 64;
  static constexpr size_t kMaxKeysCount = 64;

  // Keys 0 to keys_count - 1, of which `shard_of(i)` says the shard. REQUIRES: at most
  // kMaxKeysCount, and a shard below kMaxShardsCount.
  template <class ShardOf>
  ShardGroups(size_t keys_count, ShardOf shard_of) {
    // A counting sort: `ends_` first counts, then says where the next key of a shard goes.
    std::array<uint8_t, kMaxKeysCount> shard;
    for (size_t i = 0; i < keys_count; ++i) {
      shard[i] = static_cast<uint8_t>(shard_of(i));
      ++ends_[shard[i]];
    }
    uint8_t begin = 0;
    for (size_t s = 0; s < kMaxShardsCount; ++s) {
      const uint8_t count = ends_[s];
      if (count > 0) shards_[count_++] = static_cast<uint8_t>(s);
      ends_[s] = begin;
      begin = static_cast<uint8_t>(begin + count);
    }
    for (size_t i = 0; i < keys_count; ++i) keys_[ends_[shard[i]]++] = static_cast<uint8_t>(i);
  }

  // visit(size_t shard, absl::Span<const uint8_t> keys), for each shard that has any; the keys in
  // the order of their numbers.
  template <class Visit>
  void ForEach(Visit visit) const {
    size_t begin = 0;
    for (size_t i = 0; i < count_; ++i) {
      const size_t end = ends_[shards_[i]];
      visit(size_t{shards_[i]}, absl::MakeConstSpan(&keys_[begin], end - begin));
      begin = end;
    }
  }

 private:
  std::array<uint8_t, kMaxShardsCount> ends_{};  // of a shard's keys in keys_
  std::array<uint8_t, kMaxShardsCount> shards_;  // that have any
  std::array<uint8_t, kMaxKeysCount> keys_;
  size_t count_ = 0;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_SHARD_GROUPS_H_
