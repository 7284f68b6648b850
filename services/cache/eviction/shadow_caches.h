// What each of several eviction rules would do: caches without values, one per rule, over the same
// reads and with the same room. Exact, and dear: hundreds of bytes a key, so for small caches; a
// larger one has CoarseShadows.
//
// Thread safety: none. Deterministic: the same calls lead to the same votes.
#ifndef SERVICES_CACHE_EVICTION_SHADOW_CACHES_H_
#define SERVICES_CACHE_EVICTION_SHADOW_CACHES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "services/cache/eviction/eviction_queues.h"
#include "services/cache/eviction/rule_scores.h"
#include "services/cache/eviction/vote_queues.h"

namespace slipstream::cache {

class ShadowCaches {
 public:
  // In doubt the earlier one.
  static constexpr std::array<EvictionRule, 7> kRules = {{
      {EvictionRule::kLirs, 1},
      {EvictionRule::kS3Fifo},
      {EvictionRule::kTinyLfu, 75, 20},
      {EvictionRule::kTinyLfu, 1, 10, 1},
      {EvictionRule::kTinyLfu, 40, 20},
      {EvictionRule::kLru},
      {EvictionRule::kSieve},
  }};
  static constexpr size_t kCount = kRules.size();
  static constexpr RuleScores::Twins kTwins{0, 3};

  explicit ShadowCaches(int64_t max_bytes);
  ~ShadowCaches();
  ShadowCaches(const ShadowCaches&) = delete;
  ShadowCaches& operator=(const ShadowCaches&) = delete;

  // An entry was asked for, and the cache itself had it or not; `votes` is kept up to date for it
  // from now on. Returns which rules had it.
  VoteQueues::Votes Read(EntryLink* link, bool hit, VoteQueues* votes);
  // The entry went, but may come back: capacity.
  void Evicted(const EntryLink* link);
  // It ended by itself: expired, invalidated or deleted.
  void Removed(const EntryLink* link);
  void Replaced(const EntryLink* link, EntryLink* next);

  // In the largest shadow.
  size_t entries_count() const;
  // Keys that it knows of.
  size_t records_count() const { return records_.size(); }
  size_t memory_bytes() const;

 private:
  struct Record;
  Record* Find(uint64_t hash);
  void SetVotes(Record* record, VoteQueues::Votes votes);
  void DropIfUnused(uint64_t hash, Record* record);
  Record* NewRecord(uint64_t hash);
  void MakeSpareRecords();

  VoteQueues* votes_ = nullptr;
  std::vector<std::unique_ptr<EvictionQueues>> shadows_;
  absl::flat_hash_map<uint64_t, Record*> records_;
  size_t reserved_count_ = 0;  // of records_, without growing
  std::vector<Record*> free_;
  std::vector<std::unique_ptr<Record[]>> chunks_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_EVICTION_SHADOW_CACHES_H_
