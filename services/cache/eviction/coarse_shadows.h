// What each of several eviction rules would hold, of all keys of a large cache, for some sixty
// bytes an entry: the rules work on epochs instead of lists (coarse_rules.h), so that a key costs
// one record for all of them. Known are about five times as many keys as the cache has entries:
// those that a rule holds, and of the others the ones read last.
//
// Thread safety: none. Deterministic: the same calls lead to the same votes.
#ifndef SERVICES_CACHE_EVICTION_COARSE_SHADOWS_H_
#define SERVICES_CACHE_EVICTION_COARSE_SHADOWS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "services/cache/eviction/coarse_record.h"
#include "services/cache/eviction/coarse_rules.h"
#include "services/cache/eviction/vote_queues.h"

namespace slipstream::cache {

class CoarseShadows {
 public:
  using Votes = VoteQueues::Votes;

  // The rules, in this order: LIRS with 1 % for what is cold, S3-FIFO, LIRS with 30 %, LRU, and
  // frequency. A rule's vote is the bit of its number.
  static constexpr size_t kCount = 5;

  explicit CoarseShadows(int64_t max_bytes);
  CoarseShadows(const CoarseShadows&) = delete;
  CoarseShadows& operator=(const CoarseShadows&) = delete;

  // An entry was asked for, in a cache of so many. Returns which rules had it, and its votes now.
  struct Standing {
    Votes hits = 0;
    Votes votes = 0;
  };
  Standing Read(uint64_t hash, uint32_t weight_bytes, size_t entries_count);
  // Which rules hold it now; and above these two bits more, for what LIRS or S3-FIFO hold on trial
  // and let go sooner than others that were read as late.
  Votes VotesOf(uint64_t hash);
  // It ended by itself: expired, invalidated or deleted.
  void Remove(uint64_t hash);
  void Reweigh(uint64_t hash, uint32_t weight_bytes);

  // Fetches what Read will look at, some time before it.
  void Prefetch(uint64_t hash) const;
  size_t memory_bytes() const;

 private:
  static constexpr size_t kWays = 8;

  static uint32_t TagOf(uint64_t hash) {
    // Callers choose shards by bits of the hash: here those would be the same for all.
    return static_cast<uint32_t>(hash * 0x9e3779b97f4a7c15 >> 32);
  }
  size_t BucketOf(uint32_t tag) const {
    return (uint64_t{tag} * (records_.size() / kWays) >> 32) * kWays;
  }
  CoarseRecord* Find(uint64_t hash);
  CoarseRecord* Make(uint32_t tag);
  void Fit(size_t entries_count);
  Votes VotesOf(CoarseRecord* record);
  void Count(CoarseRecord* record, int sign);
  void Forget(CoarseRecord* record);
  void CountRead(bool missed);
  void StartEpoch();
  void Sweep();

  std::vector<CoarseRecord> records_;
  size_t entries_count_ = 0;
  Epoch now_ = 0;
  size_t misses_ = 0, reads_ = 0;  // of this epoch
  size_t reads_until_halving_ = 0;
  size_t swept_ = 0;
  CoarseLirs lirs_, wide_lirs_;
  CoarseS3Fifo s3_fifo_;
  CoarseLru lru_;
  CoarseFrequency frequency_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_EVICTION_COARSE_SHADOWS_H_
