// Remembers tokens that were verified, so that the next call with one costs a SHA-256 and a
// look-up.
//
// Keyed by the SHA-256 of the whole token; an entry is served strictly before the token's `exp`
// (never within the leeway after it) and only under the key generation it was verified with, so a
// change of keys empties the cache. Failures are never remembered. Bounded: full shards evict by
// second chance (CLOCK).
//
// Thread safety: all methods may be called from any thread; 16 shards with a lock each.
#ifndef SLIPSTREAM_LIBS_AUTH_VERIFIED_TOKEN_CACHE_H_
#define SLIPSTREAM_LIBS_AUTH_VERIFIED_TOKEN_CACHE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "libs/auth/openssl_ptr.h"
#include "libs/auth/principal.h"
#include "libs/sync/mutex.h"

namespace slipstream::auth {

struct VerifiedTokenCacheStats {
  uint64_t hits_total = 0;
  uint64_t misses_total = 0;
  uint64_t evictions_total = 0;
  size_t entry_count = 0;
};

class VerifiedTokenCache {
 public:
  using Digest = std::array<uint8_t, 32>;

  // `max_entry_count` is rounded up to a multiple of the shard count; 0 turns the cache off.
  explicit VerifiedTokenCache(size_t max_entry_count);

  // SHA-256 of the token.
  Digest DigestOf(std::string_view token) const;

  // Null when unknown, expired at `now`, or verified under another generation.
  std::shared_ptr<const Principal> Find(const Digest& digest, uint64_t generation, absl::Time now);

  // Dropped without effect when newer keys are already in force, or the principal has expired at
  // `now`.
  void Insert(const Digest& digest, uint64_t generation, absl::Time now,
              std::shared_ptr<const Principal> principal);

  VerifiedTokenCacheStats Stats() const;

 private:
  static constexpr size_t kShardCount = 16;

  // The digest is uniform already; its first bytes are the hash (the shard takes the last).
  struct DigestHash {
    size_t operator()(const Digest& digest) const {
      size_t hash;
      std::memcpy(&hash, digest.data(), sizeof(hash));
      return hash;
    }
  };
  struct Slot {
    Digest digest;
    std::shared_ptr<const Principal> principal;  // null: free
    bool referenced = false;                     // looked up since the hand last passed
  };
  struct Shard {
    mutable sync::Mutex mu;
    uint64_t generation ABSL_GUARDED_BY(mu) = 0;
    absl::flat_hash_map<Digest, uint32_t, DigestHash> index ABSL_GUARDED_BY(mu);
    std::vector<Slot> slots ABSL_GUARDED_BY(mu);
    std::vector<uint32_t> free_slots ABSL_GUARDED_BY(mu);
    size_t hand ABSL_GUARDED_BY(mu) = 0;
    VerifiedTokenCacheStats stats ABSL_GUARDED_BY(mu);
  };

  Shard& ShardOf(const Digest& digest) { return shards_[digest.back() % kShardCount]; }
  // False when `generation` is older than the shard's; a newer one empties the shard.
  static bool EnterGeneration(Shard& shard, uint64_t generation)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mu);
  uint32_t TakeSlot(Shard& shard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mu);

  const size_t slots_per_shard_;
  const MdPtr sha256_;
  std::array<Shard, kShardCount> shards_;
};

}  // namespace slipstream::auth

#endif  // SLIPSTREAM_LIBS_AUTH_VERIFIED_TOKEN_CACHE_H_
