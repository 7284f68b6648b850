// Invalidation in constant time and bounded memory: each tag hashes to one of a fixed number of
// slots, and a slot holds the position of the latest invalidation of its tags. An entry is dead
// once a slot of its tags is newer than the entry. Tags that share a slot invalidate one another's
// entries: a needless miss, never an old value. The hash is seeded by the process, so that nobody
// can aim at a slot.
//
// Thread safety: all methods, from any thread, lock-free.
#ifndef SERVICES_CACHE_EPOCH_TABLE_H_
#define SERVICES_CACHE_EPOCH_TABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace slipstream::cache {

class EpochTable {
 public:
  static constexpr size_t kSlotsCount = 1 << 16;  // 512 KiB

  static uint32_t SlotOf(size_t hash) { return static_cast<uint32_t>(hash >> 8) % kSlotsCount; }

  uint64_t now() const { return now_.load(std::memory_order_acquire); }

  // A new position, not yet set anywhere.
  uint64_t Next() { return now_.fetch_add(1, std::memory_order_acq_rel) + 1; }

  // Sets the slot to `position` unless it is newer already.
  void Raise(uint32_t slot, uint64_t position) {
    uint64_t seen = slots_[slot].load(std::memory_order_relaxed);
    while (seen < position &&
           !slots_[slot].compare_exchange_weak(seen, position, std::memory_order_acq_rel)) {
    }
  }

  // Every slot as at the start; not in one step.
  void Clear() {
    for (auto& slot : slots_) slot.store(0, std::memory_order_release);
  }

  bool NewerThan(uint32_t slot, uint64_t position) const {
    return slots_[slot].load(std::memory_order_acquire) > position;
  }
  bool AnyNewerThan(absl::Span<const uint32_t> slots, uint64_t position) const {
    for (const uint32_t slot : slots) {
      if (NewerThan(slot, position)) return true;
    }
    return false;
  }

 private:
  std::atomic<uint64_t> now_{0};
  std::vector<std::atomic<uint64_t>> slots_ = std::vector<std::atomic<uint64_t>>(kSlotsCount);
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_EPOCH_TABLE_H_
