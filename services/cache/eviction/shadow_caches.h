// What each of several eviction rules would do: caches without values, one per rule, over the same
// reads and with the same room, and how many hits each had lately.
//
// A small cache is shadowed in full. Of a large one the shadows see only the keys whose hash falls
// into a sample, with room in proportion (Waldspurger et al., "Efficient MRC Construction
// with SHARDS", FAST 2015): the sample halves whenever the shadows hold more than max_records_count
// keys, so that the cost is bounded for any size.
//
// Thread safety: none. Deterministic: the same calls lead to the same hits.
#ifndef SERVICES_CACHE_EVICTION_SHADOW_CACHES_H_
#define SERVICES_CACHE_EVICTION_SHADOW_CACHES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "services/cache/eviction/eviction_queues.h"
#include "services/cache/eviction/vote_queues.h"

namespace slipstream::cache {

class ShadowCaches {
 public:
  // In doubt the earlier one.
  static constexpr std::array<EvictionRule, 7> kRules = {{
      {EvictionRule::kTinyLfu, 1, 10},
      {EvictionRule::kS3Fifo},
      {EvictionRule::kTinyLfu, 75, 20},
      {EvictionRule::kTinyLfu, 1, 10, 1},
      {EvictionRule::kTinyLfu, 40, 20},
      {EvictionRule::kLru},
      {EvictionRule::kSieve},
  }};
  static constexpr size_t kCount = kRules.size();
  // Two that are much the same, except that each holds another part of a loop.
  static constexpr std::array<size_t, 2> kTwins = {0, 3};

  ShadowCaches(int64_t max_bytes, size_t max_records_count);
  ~ShadowCaches();
  ShadowCaches(const ShadowCaches&) = delete;
  ShadowCaches& operator=(const ShadowCaches&) = delete;

  // Whether the shadows see a key.
  bool Sampled(uint64_t hash) const { return (hash >> kSampleShift & sample_mask_) == 0; }
  bool full_sample() const { return sample_mask_ == 0; }

  // An entry was asked for, and the cache itself had it or not; unless it is null, `votes` is kept
  // up to date for it from now on. REQUIRES: Sampled(link->hash).
  void Read(EntryLink* link, bool hit, VoteQueues* votes);
  // The entry went, but may come back: capacity.
  void Evicted(const EntryLink* link);
  // It ended by itself: expired, invalidated or deleted.
  void Removed(const EntryLink* link);
  void Replaced(const EntryLink* link, EntryLink* next);

  // More keys than the bound: the sample has to shrink. Not done by itself, because `votes` of keys
  // that leave the sample are not kept up to date any more.
  bool overfull() const;
  void HalveSample();
  // How much room each shadow has of a sample: what the sampled entries take in the cache itself
  // tells better than the sample's nominal part, as the keys do not fall evenly into it.
  void SetRoom(int64_t max_bytes);

  // True when it is time to look at the scores again.
  bool due() const { return reads_until_due_ == 0; }
  // Which rule has done best lately, and how much each one's vote should count.
  struct Verdict {
    size_t best = 0;
    size_t entries_count = 0;  // in the largest shadow
    double reads = 0;          // lately
    std::array<double, kCount> hits{};
    std::array<double, kCount> weights{};
  };
  // `in_force` is the rule by which the cache itself has been run since the last look. A sample may
  // make a rule look better than it is, above all where a loop just does not fit: a rule that has
  // brought less than its shadow promised is believed less for a while.
  Verdict Judge(size_t in_force);

  size_t memory_bytes() const;

 private:
  struct Record;
  Record* Find(uint64_t hash);
  void UpdateTrust(size_t in_force, size_t entries_count);
  static size_t TwinOf(size_t rule);
  void SetVotes(Record* record, VoteQueues::Votes votes);
  void DropIfUnused(uint64_t hash, Record* record);
  Record* NewRecord(uint64_t hash);
  void MakeSpareRecords();

  static constexpr int kSampleShift = 24;
  static constexpr uint64_t kMaxSampleMask = 0xffff;

  const int64_t max_bytes_;
  const size_t max_records_count_;
  uint64_t sample_mask_ = 0;
  VoteQueues* votes_ = nullptr;
  std::vector<std::unique_ptr<EvictionQueues>> shadows_;
  std::array<double, kCount> hits_{};
  size_t best_ = 0;
  double reads_ = 0;
  size_t reads_until_due_ = 0;
  size_t look_reads_ = 0;  // from the last look to the next
  // Of the rule in force: what its shadow promised and what came of it, since it came into force.
  struct Trial {
    size_t rule = 0;
    size_t reads = 0;
    double promised_hits = 0;
    double hits = 0;
  };
  Trial trial_;
  std::array<double, kCount> trust_;
  absl::flat_hash_map<uint64_t, Record*> records_;
  size_t reserved_count_ = 0;  // of records_, without growing
  std::vector<Record*> free_;
  std::vector<std::unique_ptr<Record[]>> chunks_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_EVICTION_SHADOW_CACHES_H_
