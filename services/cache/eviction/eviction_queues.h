// Entries in the order in which they give way, under one of several policies: LRU, SIEVE (NSDI
// 2024), S3-FIFO (SOSP 2023), W-TinyLFU (TOS 2017) with a window of any size, and LIRS (SIGMETRICS
// 2002).
//
//              recent                     main                       frequent
//   LRU        all, by last read          -                          -
//   SIEVE      all, by arrival            -                          -
//   S3-FIFO    newcomers                  read again, or recalled    -
//   W-TinyLFU  window, by last read       on probation               read again in main
//   LIRS       cold, by last read         -                          hot, by last read
//
// LIRS has no stack here: a key is in the authors' stack if it was read since the coldest of the
// hot entries was, so the time of the last read says as much, of an entry and of a ghost.
//
// Everything is by bytes. All methods take constant time, amortised.
//
// Thread safety: none.
#ifndef SERVICES_CACHE_EVICTION_EVICTION_QUEUES_H_
#define SERVICES_CACHE_EVICTION_EVICTION_QUEUES_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "services/cache/eviction/entry_link.h"
#include "services/cache/eviction/frequency_sketch.h"
#include "services/cache/eviction/ghost_table.h"

namespace slipstream::cache {

// Which policy decides.
struct EvictionRule {
  enum Kind : uint8_t { kLru, kSieve, kS3Fifo, kTinyLfu, kLirs };
  Kind kind = kLru;
  // Of the room: W-TinyLFU's window, or what LIRS has for cold entries.
  uint8_t recent_percent = 1;
  // W-TinyLFU only: after how many reads per entry the frequencies are halved.
  uint8_t memory_reads = 10;
  // Who leaves the window stays if it was asked for more often than the victim by more than this.
  // In a loop each key is asked for once a round, and whoever comes now seems to be ahead by one:
  // with 1 the same part of the loop is held for good.
  uint8_t margin_reads = 0;
  bool operator==(const EvictionRule&) const = default;
};

class EvictionQueues {
 public:
  using Link = EntryLink;

  EvictionQueues(EvictionRule rule, int64_t max_bytes);
  EvictionQueues(const EvictionQueues&) = delete;
  EvictionQueues& operator=(const EvictionQueues&) = delete;

  // A newcomer. What is above max_bytes the caller takes out by Evict.
  void Insert(Link* link);
  // It was read.
  void Touch(Link* link);
  void Remove(Link* link);
  void Reweigh(Link* link, uint32_t weight_bytes);
  // Takes out whom to evict. REQUIRES: not empty.
  Link* Evict();

  bool empty() const { return count() == 0; }
  size_t count() const { return recent_.count + main_.count + frequent_.count; }
  int64_t bytes() const { return recent_.bytes + main_.bytes + frequent_.bytes; }
  int64_t max_bytes() const { return max_bytes_; }
  // Of sketch and ghosts.
  size_t memory_bytes() const { return sketch_.memory_bytes() + ghosts_.memory_bytes(); }

 private:
  static constexpr uint8_t kMaxReads = 3;
  // S3-FIFO: share of the newcomers, and the ghosts in percent of the entries.
  static constexpr int64_t kSmallPercent = 10;
  static constexpr uint32_t kGhostPercent = 90;
  // W-TinyLFU: share of the main space for what was read again in it.
  static constexpr int64_t kFrequentPercent = 80;
  // From this frequency on, what was refused is let in at random now and then, so that nobody can
  // keep newcomers out by asking for a victim again and again.
  static constexpr uint32_t kAdmitAtRandomFrom = 6;
  static constexpr uint64_t kAdmitOneOf = 128;
  // LIRS: what is hot stays so for 65,536 steps at most, for then ages start again from 0. From
  // here on one of those is let go at each eviction, which is soon enough.
  static constexpr GhostTable::Step kOldSteps = 0xe000;

  EntryList& QueueOf(const Link* link) { return *queues_[link->tag]; }
  void Push(uint8_t tag, Link* link);
  void Unlink(Link* link);
  void Move(uint8_t tag, Link* link) {
    Unlink(link);
    Push(tag, link);
  }

  Link* EvictBySieve();
  Link* EvictByS3Fifo();
  Link* EvictByTinyLfu();
  Link* EvictByLirs();
  void ShrinkWindow();
  bool Admit(const Link* candidate, const Link* victim);
  void PromoteToFrequent(Link* link);
  void TouchByTinyLfu(Link* link);

  void InsertByLirs(Link* link, std::optional<GhostTable::Step> last_read);
  void TouchByLirs(Link* link);
  bool ReadSinceColdest(GhostTable::Step step) const;
  bool HasHotRoomFor(const Link* link) const {
    return frequent_.bytes + link->weight_bytes <= hot_max_bytes();
  }
  int64_t hot_max_bytes() const {
    return max_bytes_ - std::max<int64_t>(1, max_bytes_ * rule_.recent_percent / 100);
  }
  void ShrinkHot();

  static uint64_t Spread(uint64_t hash) {
    // Callers choose shards by bits of the hash: here those would be the same for all.
    hash *= 0x9e3779b97f4a7c15;
    return hash ^ (hash >> 32);
  }

  const EvictionRule rule_;
  const bool needs_sketch_;
  const bool needs_ghosts_;
  const int64_t max_bytes_;
  EntryList recent_, main_, frequent_;
  const std::array<EntryList*, 3> queues_{&recent_, &main_, &frequent_};  // by tag
  Link* hand_ = nullptr;       // SIEVE's; null: at the oldest
  Link* candidate_ = nullptr;  // W-TinyLFU: the last that left the window
  uint64_t random_ = 1;
  FrequencySketch sketch_;
  GhostTable ghosts_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_EVICTION_EVICTION_QUEUES_H_
