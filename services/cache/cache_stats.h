// What callers did, counted per type and namespace, and how long reads took.
//
// Thread safety: all methods, from any thread. Counting takes one short lock of a stripe that is
// chosen by the key, so that threads rarely meet.
#ifndef SERVICES_CACHE_CACHE_STATS_H_
#define SERVICES_CACHE_CACHE_STATS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "libs/sync/mutex.h"
#include "services/cache/cache_key.h"

namespace slipstream::cache {

struct Counters {
  int64_t hits_count = 0;
  int64_t misses_count = 0;
  int64_t stale_count = 0;
  int64_t sets_count = 0;
  int64_t deletes_count = 0;

  Counters& operator+=(const Counters& other);
};

using TypeCounters = std::array<Counters, kTypeCount>;

// Durations in buckets that grow by a quarter of a power of two: percentiles are right to 19 %.
class LatencyHistogram {
 public:
  void Add(absl::Duration duration, uint64_t count);
  // The upper edge of the bucket in which the share lies, in microseconds; 0 without any.
  double PercentileUs(double share) const;

 private:
  static constexpr int kBucketsCount = 160;
  std::array<std::atomic<uint64_t>, kBucketsCount> counts_{};
};

class CacheStats {
 public:
  enum Event { kHit, kMiss, kStale, kSet, kDelete };

  void Count(const ScopedKey& key, Event event, int64_t count = 1);
  LatencyHistogram& reads() { return reads_; }
  const LatencyHistogram& reads() const { return reads_; }

  struct Snapshot {
    TypeCounters types{};
    // Of the namespaces that were seen first; those beyond kMaxNamespacesCount are only in `types`.
    std::map<std::string, TypeCounters, std::less<>> namespaces;
  };
  Snapshot Take() const;

  static constexpr size_t kMaxNamespacesCount = 1024;  // per stripe

 private:
  static constexpr size_t kStripesCount = 16;
  struct alignas(64) Stripe {
    mutable sync::Mutex mutex;
    TypeCounters other ABSL_GUARDED_BY(mutex){};
    absl::flat_hash_map<std::string, TypeCounters> namespaces ABSL_GUARDED_BY(mutex);
  };
  std::array<Stripe, kStripesCount> stripes_;
  LatencyHistogram reads_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_CACHE_STATS_H_
