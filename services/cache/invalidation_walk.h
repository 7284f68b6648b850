// Erases in memory what matches a filter, a bounded portion at a time: the caller runs Step until
// it is done and lets others run in between.
//
// From the constructor on, fills that began earlier store nothing; when Step answers true, no entry
// that matched and was stored before the constructor is left.
//
// Thread safety: one caller at a time.
#ifndef SERVICES_CACHE_INVALIDATION_WALK_H_
#define SERVICES_CACHE_INVALIDATION_WALK_H_

#include <cstdint>
#include <vector>

#include "services/cache/memory_cache_store.h"

namespace slipstream::cache {

class InvalidationWalk {
 public:
  // Both outlive it.
  InvalidationWalk(MemoryCacheStore& store, const EntryFilter& filter)
      : store_(store), filter_(filter) {
    store.RefuseOlderFills();
  }

  // True when done.
  bool Step();
  // To the end, giving way to others after each step.
  Async<void> Run();

  int64_t erased_count() const { return erased_count_; }

 private:
  // Of names looked at in one step: some milliseconds at the worst pattern.
  static constexpr size_t kStepBytes = 64 << 10;

  MemoryCacheStore& store_;
  const EntryFilter& filter_;
  int next_part_ = 0;
  std::vector<EntryRef> listed_;
  int64_t erased_count_ = 0;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_INVALIDATION_WALK_H_
