// Which keys were evicted lately, by 16 bits of their hash, in about sixteen bytes for each entry
// of the cache: about twice as many keys as there are entries. May take one key in some thousands
// for another, and forgets a few early.
//
// Time is counted in steps: 256 of them while as many entries are evicted as there are, and each
// eviction is one in a smaller cache.
//
// Thread safety: none.
#ifndef SERVICES_CACHE_EVICTION_GHOST_TABLE_H_
#define SERVICES_CACHE_EVICTION_GHOST_TABLE_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace slipstream::cache {

class GhostTable {
 public:
  using Step = uint16_t;

  // Of a cache of so many entries; growing forgets what was there.
  void Fit(size_t entries_count) {
    step_evictions_count_ = std::max<size_t>(1, entries_count / kStepsPerEntries);
    steps_per_entries_ = static_cast<Step>(entries_count / step_evictions_count_);
    const size_t slots = std::bit_ceil(std::max(kSlotsPerEntry * entries_count, kSlotsPerBucket));
    if (slots > slots_.size()) slots_.assign(slots, Slot{});
  }

  Step now() const { return now_; }
  // In steps; of a step that is longer ago than 65,535 it is wrong.
  Step AgeOf(Step step) const { return static_cast<Step>(now_ - step); }
  // How many steps it takes to evict as many entries as there are.
  Step steps_per_entries() const { return steps_per_entries_; }

  // An entry is evicted; `step` says from when on its age is counted.
  void Add(uint64_t hash, Step step) {
    Slot* oldest = nullptr;
    for (Slot& slot : BucketOf(hash)) {
      if (slot.tag == TagOf(hash) || slot.tag == kFree) {
        oldest = &slot;
        break;
      }
      if (oldest == nullptr || AgeOf(slot.step) > AgeOf(oldest->step)) oldest = &slot;
    }
    *oldest = {TagOf(hash), step};
  }
  // An eviction: time goes on.
  void Tick() {
    if (++evictions_count_ % step_evictions_count_ != 0) return;
    if (++now_ == 0) slots_.assign(slots_.size(), Slot{});
  }

  // With which step the key was added, when it was; it no longer is there.
  std::optional<Step> Take(uint64_t hash) {
    for (Slot& slot : BucketOf(hash)) {
      if (slot.tag != TagOf(hash)) continue;
      slot.tag = kFree;
      return slot.step;
    }
    return std::nullopt;
  }

  size_t memory_bytes() const { return slots_.capacity() * sizeof(Slot); }

 private:
  struct Slot {
    uint16_t tag = kFree;
    Step step = 0;
  };
  static constexpr uint16_t kFree = 0;
  static constexpr size_t kSlotsPerBucket = 8;
  static constexpr size_t kSlotsPerEntry = 4;
  static constexpr size_t kStepsPerEntries = 256;

  struct Bucket {
    Slot* first;
    Slot* begin() const { return first; }
    Slot* end() const { return first + kSlotsPerBucket; }
  };
  Bucket BucketOf(uint64_t hash) {
    return {&slots_[(hash & (slots_.size() / kSlotsPerBucket - 1)) * kSlotsPerBucket]};
  }
  static uint16_t TagOf(uint64_t hash) { return static_cast<uint16_t>(hash >> 32 | 1); }

  std::vector<Slot> slots_ = std::vector<Slot>(kSlotsPerBucket);
  size_t step_evictions_count_ = 1;
  size_t evictions_count_ = 0;
  Step steps_per_entries_ = 1;
  Step now_ = 0;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_EVICTION_GHOST_TABLE_H_
