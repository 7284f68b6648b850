// What the second tier was asked, and how it answered.
//
// Thread safety: all methods, from any thread, lock-free.
#ifndef SERVICES_CACHE_TIER_COUNTERS_H_
#define SERVICES_CACHE_TIER_COUNTERS_H_

#include <atomic>
#include <cstdint>

#include "services/cache/cache_stats.h"

namespace slipstream::cache {

struct TierCounters {
  std::atomic<int64_t> hits{0};
  std::atomic<int64_t> misses{0};
  std::atomic<int64_t> failed_reads{0};  // answered as misses: not in time, or an error
  std::atomic<int64_t> sets{0};
  std::atomic<int64_t> deletes{0};
  std::atomic<int64_t> not_kept{0};  // values that the tier had no room for
  LatencyHistogram reads;

  static void Add(std::atomic<int64_t>& counter, int64_t count = 1) {
    counter.fetch_add(count, std::memory_order_relaxed);
  }
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_TIER_COUNTERS_H_
