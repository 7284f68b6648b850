// Which entry gives way when room is short, by bytes. No one rule is best for all that is asked of
// a cache, so several run as shadows (shadow_caches.h) and the one with the most hits lately has
// its way:
//
// - while all keys of the cache fit into the shadows, entry by entry: evicted is what the best
//   rules would not hold (vote_queues.h);
// - in a larger cache the shadows see a sample of the keys, and the entries themselves are kept by
//   the rule that is best there (eviction_queues.h). While it fills, nothing tells the rules apart
//   but shadows with less room; what was best in those is the first rule.
//
// A hit is one write into a small buffer; what follows from it happens once for many hits, and
// before anything else changes. Where nearly all reads are hits, most of them are passed over.
//
// Thread safety: none; the shard's lock guards it. Deterministic: the same calls evict the same.
#ifndef SERVICES_CACHE_EVICTION_ADAPTIVE_POLICY_H_
#define SERVICES_CACHE_EVICTION_ADAPTIVE_POLICY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "services/cache/eviction/eviction_queues.h"
#include "services/cache/eviction/shadow_caches.h"
#include "services/cache/eviction/vote_queues.h"

namespace slipstream::cache {

class AdaptivePolicy {
 public:
  using Link = EntryLink;

  struct Options {
    int64_t max_bytes = 0;
    // Keys in the shadows, at about kBytesPerRecord each: how large a cache is shadowed in full,
    // and beyond that how good the sample is.
    size_t max_records_count = 8192;
  };
  static constexpr size_t kBytesPerRecord = 320;

  explicit AdaptivePolicy(const Options& options);
  ~AdaptivePolicy();

  // A newcomer. What is above max_bytes the caller takes out by Evict.
  void Insert(Link* link);
  // It was read.
  void Touch(Link* link) {
    if (credit_count_ == 0 && PassedOver()) return;
    touched_[touched_count_++] = link;
    if (touched_count_ == kMaxTouchedCount) ApplyTouches();
  }
  // Fetches what Touch will write, some time before it.
  void FetchAhead() const { __builtin_prefetch(&passed_count_, 1); }
  void Remove(Link* link);
  // `next` takes the place of `link`: an overwrite is no reason to lose one's standing.
  void Replace(Link* link, Link* next);
  // Takes out whom to evict. REQUIRES: not empty.
  Link* Evict();

  bool empty() const { return votes_ != nullptr ? votes_->empty() : queues_.empty(); }
  int64_t bytes() const { return votes_ != nullptr ? votes_->bytes() : queues_.bytes(); }
  // Beside the links of the entries.
  size_t memory_bytes() const;
  // The rule that has its way now.
  EvictionRule rule() const { return ShadowCaches::kRules[rule_]; }

 private:
  static constexpr size_t kMaxTouchedCount = 64;
  // A miss pays for looking at so many hits; above that rate (98.5 % hits, or a cache that is not
  // full) one of so many is looked at: what gives way matters the less, the fewer misses there are.
  static constexpr size_t kHitsPerMissCount = 64;
  // At most so many, or as many as there are entries: of a loop that does not fit, all that is held
  // is hit in a row and all else missed in a row, and if hits were passed over and misses were not,
  // the shadows would see a shorter loop, which fits.
  static constexpr size_t kLeastMaxCreditCount = 4096;
  static constexpr size_t kPassOverCount = 16;
  // Without any miss for so many hits nothing has given way for long, and fewer are looked at.
  static constexpr size_t kManyHitsCount = 1 << 16;
  static constexpr size_t kPassOverAfterManyCount = 64;

  bool PassedOver() {
    ++hits_since_miss_count_;
    const bool many = hits_since_miss_count_ >= kManyHitsCount;
    return ++passed_count_ % (many ? kPassOverAfterManyCount : kPassOverCount) != 0;
  }

  void ApplyTouches();
  void Read(Link* link, bool hit);
  void ReadEarly(Link* link, bool hit);
  void Decide();
  void Follow(size_t rule);
  bool full() const;
  size_t count() const { return votes_ != nullptr ? votes_->count() : queues_.count(); }
  void LeaveVotes();
  void Shrink();
  void CountSampled(const Link* link, int64_t sign);

  const Options options_;
  ShadowCaches shadows_;
  // With less room, for the first rule of a large cache: from when the votes end until it is full.
  std::unique_ptr<ShadowCaches> early_;
  // Has the entries as long as it is there; then `queues_` has, and knows frequencies before.
  std::unique_ptr<VoteQueues> votes_;
  EvictionQueues queues_;
  int64_t sampled_bytes_ = 0;  // of the entries in the sample, once it is not all
  size_t rule_ = 0;
  size_t credit_count_ = 0;
  size_t passed_count_ = 0;
  size_t hits_since_miss_count_ = 0;  // without those that are looked at in any case
  size_t touched_count_ = 0;
  std::array<Link*, kMaxTouchedCount> touched_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_EVICTION_ADAPTIVE_POLICY_H_
