// Which keys were evicted lately: the last `entries_count` of them, by 16 bits of their hash, in
// about eight bytes each. May take one key in some thousands for another, and forgets a few early.
//
// Thread safety: none.
#ifndef SERVICES_CACHE_EVICTION_GHOST_TABLE_H_
#define SERVICES_CACHE_EVICTION_GHOST_TABLE_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace slipstream::cache {

class GhostTable {
 public:
  // Room for so many keys; growing forgets what was there.
  void Fit(size_t entries_count) {
    // A ghost is as old as the number of steps since it came; a step is this many evictions.
    step_evictions_count_ = std::max<size_t>(1, entries_count / kMaxAgeSteps);
    max_age_steps_ = static_cast<uint16_t>(std::min(entries_count, kMaxAgeSteps));
    const size_t slots = std::bit_ceil(std::max(kSlotsPerEntry * entries_count, kSlotsPerBucket));
    if (slots > slots_.size()) slots_.assign(slots, Slot{});
  }

  void Add(uint64_t hash) {
    if (++evictions_count_ % step_evictions_count_ == 0 && ++step_ == 0)
      slots_.assign(slots_.size(), Slot{});
    Slot* oldest = nullptr;
    for (Slot& slot : BucketOf(hash)) {
      if (slot.tag == TagOf(hash) || slot.tag == kFree) {
        oldest = &slot;
        break;
      }
      if (oldest == nullptr || AgeOf(slot) > AgeOf(*oldest)) oldest = &slot;
    }
    *oldest = {TagOf(hash), step_};
  }

  // True when the key was there; it no longer is.
  bool Take(uint64_t hash) {
    for (Slot& slot : BucketOf(hash)) {
      if (slot.tag != TagOf(hash)) continue;
      const bool young = AgeOf(slot) < max_age_steps_;
      slot.tag = kFree;
      return young;
    }
    return false;
  }

  size_t memory_bytes() const { return slots_.capacity() * sizeof(Slot); }

 private:
  struct Slot {
    uint16_t tag = kFree;
    uint16_t step = 0;
  };
  static constexpr uint16_t kFree = 0;
  static constexpr size_t kSlotsPerBucket = 8;
  static constexpr size_t kSlotsPerEntry = 2;
  static constexpr size_t kMaxAgeSteps = 4096;

  struct Bucket {
    Slot* first;
    Slot* begin() const { return first; }
    Slot* end() const { return first + kSlotsPerBucket; }
  };
  Bucket BucketOf(uint64_t hash) {
    return {&slots_[(hash & (slots_.size() / kSlotsPerBucket - 1)) * kSlotsPerBucket]};
  }
  static uint16_t TagOf(uint64_t hash) { return static_cast<uint16_t>(hash >> 32 | 1); }
  uint16_t AgeOf(const Slot& slot) const { return static_cast<uint16_t>(step_ - slot.step); }

  std::vector<Slot> slots_ = std::vector<Slot>(kSlotsPerBucket);
  size_t step_evictions_count_ = 1;
  size_t evictions_count_ = 0;
  uint16_t max_age_steps_ = 1;
  uint16_t step_ = 0;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_EVICTION_GHOST_TABLE_H_
