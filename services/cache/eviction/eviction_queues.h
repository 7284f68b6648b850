// Entries in the order in which they give way, under any of several policies, which may change at
// any time: LRU, SIEVE (NSDI 2024), S3-FIFO (SOSP 2023) and W-TinyLFU (TOS 2017) with a window of
// any size. They share three queues, the reads of each entry, the frequencies and the ghosts, so
// that a change carries over what is known, and costs as much for a million entries as for one.
//
//              recent                     main                       frequent
//   LRU        all, by last read          -                          -
//   SIEVE      all, by arrival            -                          -
//   S3-FIFO    newcomers                  read again, or recalled    -
//   W-TinyLFU  window, by last read       on probation               read again in main
//
// Everything is by bytes. All methods take constant time, amortised.
//
// Thread safety: none.
#ifndef SERVICES_CACHE_EVICTION_EVICTION_QUEUES_H_
#define SERVICES_CACHE_EVICTION_EVICTION_QUEUES_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "services/cache/eviction/entry_link.h"
#include "services/cache/eviction/frequency_sketch.h"
#include "services/cache/eviction/ghost_table.h"

namespace slipstream::cache {

// Which policy decides.
struct EvictionRule {
  enum Kind : uint8_t { kLru, kSieve, kS3Fifo, kTinyLfu };
  Kind kind = kLru;
  // W-TinyLFU only: of the room, and after how many reads per entry the frequencies are halved.
  uint8_t window_percent = 1;
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

  // With `keeps_rule` the rule never changes, and nothing is kept that only others need.
  EvictionQueues(EvictionRule rule, int64_t max_bytes, bool keeps_rule = false);
  EvictionQueues(const EvictionQueues&) = delete;
  EvictionQueues& operator=(const EvictionQueues&) = delete;

  // A newcomer. What is above max_bytes the caller takes out by Evict.
  void Insert(Link* link);
  // It was read.
  void Touch(Link* link);
  void Remove(Link* link);
  // `next` takes the place of `link`: an overwrite is no reason to lose one's standing.
  void Replace(Link* link, Link* next);
  void Reweigh(Link* link, uint32_t weight_bytes);
  // Takes out whom to evict. REQUIRES: not empty.
  Link* Evict();

  // A key was read while it was elsewhere, among `entries_count`: only its frequency is kept.
  void CountRead(uint64_t hash, size_t entries_count);

  void SetRule(EvictionRule rule);
  EvictionRule rule() const { return rule_; }
  void SetMaxBytes(int64_t max_bytes) { max_bytes_ = max_bytes; }

  bool empty() const { return count() == 0; }
  size_t count() const { return recent_.count + main_.count + frequent_.count; }
  int64_t bytes() const { return recent_.bytes + main_.bytes + frequent_.bytes; }
  int64_t max_bytes() const { return max_bytes_; }
  // Of the entries whose hash fulfils `counts`; visits all.
  template <typename Counts>
  int64_t BytesOf(Counts counts) const {
    int64_t sum = 0;
    for (const Queue* queue : {&recent_, &main_, &frequent_}) {
      for (const Link* link = queue->newest; link != nullptr; link = link->older) {
        if (counts(link->hash)) sum += link->weight_bytes;
      }
    }
    return sum;
  }
  // Of sketch and ghosts.
  size_t memory_bytes() const { return sketch_.memory_bytes() + ghosts_.memory_bytes(); }
  // Fetches what Touch will write, some time before it.
  void Prefetch(const Link* link) const;

 private:
  static constexpr uint8_t kMaxReads = 3;
  static constexpr int kTagsCount = 256;
  // S3-FIFO: share of the newcomers, and the ghosts in percent of the entries.
  static constexpr int64_t kSmallPercent = 10;
  static constexpr size_t kGhostPercent = 90;
  // W-TinyLFU: share of the main space for what was read again in it.
  static constexpr int64_t kFrequentPercent = 80;
  // From this frequency on, what was refused is let in at random now and then, so that nobody can
  // keep newcomers out by asking for a victim again and again.
  static constexpr uint32_t kAdmitAtRandomFrom = 6;
  static constexpr uint64_t kAdmitOneOf = 128;
  // In a queue of many entries, one that is among the latest 1/32 need not move again, nor be
  // counted: nearly all hits of popular entries then touch nothing but themselves.
  static constexpr size_t kManyEntriesCount = 2048;
  static constexpr size_t kStampsPerEntries = 32;
  // Entries that leave an oversized window at one Insert: how fast a smaller window takes effect.
  static constexpr int kWindowSteps = 4;

  struct Queue : EntryList {
    uint8_t tag = 0;  // of those that come now
  };

  // An entry names its queue by a tag: joining two queues then changes the meaning of tags instead
  // of every entry. A tag is free again once no entry has it.
  struct Tag {
    Queue* queue = nullptr;
    size_t count = 0;
  };

  Queue& QueueOf(const Link* link) { return *tags_[link->tag].queue; }
  void Push(Queue* queue, Link* link);
  void Unlink(Link* link);
  void Move(Queue* queue, Link* link) {
    Unlink(link);
    Push(queue, link);
  }
  // What is in `from` becomes the older end of `to`. False when there are no tags left.
  bool Join(Queue* from, Queue* to, bool as_older);
  bool Arrange(EvictionRule::Kind kind);

  Link* EvictByRecency();
  Link* EvictBySieve();
  Link* EvictByS3Fifo();
  Link* EvictByTinyLfu();
  void ShrinkWindow();
  bool Admit(const Link* candidate, const Link* victim);
  void PromoteToFrequent(Link* link);

  bool MovedLately(Link* link);
  static uint64_t Spread(uint64_t hash) {
    // Callers choose shards and samples by bits of the hash: here those would be the same for all.
    hash *= 0x9e3779b97f4a7c15;
    return hash ^ (hash >> 32);
  }

  EvictionRule rule_;
  const bool needs_sketch_;
  const bool needs_ghosts_;
  const bool exact_;
  uint16_t stamp_ = 0;
  size_t steps_until_stamp_ = 0;
  int64_t max_bytes_;
  Queue recent_, main_, frequent_;
  Link* hand_ = nullptr;       // SIEVE's; null: at the oldest
  Link* candidate_ = nullptr;  // W-TinyLFU: the last that left the window
  uint64_t random_ = 1;
  FrequencySketch sketch_;
  GhostTable ghosts_;
  std::array<Tag, kTagsCount> tags_{};
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_EVICTION_EVICTION_QUEUES_H_
