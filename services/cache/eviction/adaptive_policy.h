// Which entry gives way when room is short, by bytes. No one rule is best for all that is asked of
// a cache, so several run as shadows, over keys alone, and evicted is what the rules with the most
// hits lately would not hold (vote_queues.h):
//
// - of a small cache the shadows are exact (shadow_caches.h), as long as their keys fit into
//   max_records_count;
// - of a larger one they are coarse, at a fifth of the cost (coarse_shadows.h).
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

#include "services/cache/eviction/coarse_shadows.h"
#include "services/cache/eviction/rule_scores.h"
#include "services/cache/eviction/shadow_caches.h"
#include "services/cache/eviction/vote_queues.h"

namespace slipstream::cache {

class AdaptivePolicy {
 public:
  using Link = EntryLink;

  struct Options {
    int64_t max_bytes = 0;
    // Keys in the exact shadows, at about kBytesPerRecord each; above it they are coarse.
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

  bool empty() const { return votes_.empty(); }
  int64_t bytes() const { return votes_.bytes(); }
  // Beside the links of the entries.
  size_t memory_bytes() const;

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

  // In hits a read. In a large cache the best rule has changed by the time it is known: what
  // several good ones hold is worth more than what the best one alone does.
  static constexpr double kExactTolerance = 0.002;
  static constexpr double kCoarseTolerance = 0.01;

  bool PassedOver() {
    ++hits_since_miss_count_;
    const bool many = hits_since_miss_count_ >= kManyHitsCount;
    return ++passed_count_ % (many ? kPassOverAfterManyCount : kPassOverCount) != 0;
  }

  void ApplyTouches();
  void Read(Link* link, bool hit);
  void ReadExact(Link* link, bool hit);
  void ReadCoarse(Link* link);
  void LeaveExact();

  const Options options_;
  VoteQueues votes_;
  std::unique_ptr<ShadowCaches> exact_;  // until it has too many keys
  // From some time before it is needed.
  std::unique_ptr<CoarseShadows> coarse_;
  RuleScores exact_scores_{ShadowCaches::kCount, kExactTolerance, ShadowCaches::kTwins};
  RuleScores coarse_scores_{CoarseShadows::kCount, kCoarseTolerance};
  size_t credit_count_ = 0;
  size_t passed_count_ = 0;
  size_t hits_since_miss_count_ = 0;  // without those that are looked at in any case
  size_t touched_count_ = 0;
  std::array<Link*, kMaxTouchedCount> touched_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_EVICTION_ADAPTIVE_POLICY_H_
