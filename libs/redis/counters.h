// The figures behind Client::stats(): one object per client, counted by all its connections.
//
// Thread safety: atomic counters, read without a common moment.
#ifndef LIBS_REDIS_COUNTERS_H_
#define LIBS_REDIS_COUNTERS_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "libs/redis/client.h"

namespace slipstream::redis {

struct Counters {
  using Count = std::atomic<uint64_t>;
  Count commands = 0;
  Count errors = 0;
  Count timeouts = 0;
  Count refused = 0;
  Count writes = 0;
  Count reconnects = 0;
  Count redirects = 0;
  Count scripts_loaded = 0;
  Count not_replicated = 0;
  std::atomic<int64_t> pending = 0;
  std::array<Count, Stats::kBucketSeconds.size() + 1> round_trip_buckets = {};
  Count round_trip_ns = 0;

  static void Add(Count& count, uint64_t n = 1) { count.fetch_add(n, std::memory_order_relaxed); }
  void AddRoundTrip(std::chrono::nanoseconds took);
  Stats Read() const;  // without the gauges of nodes
};

}  // namespace slipstream::redis

#endif  // LIBS_REDIS_COUNTERS_H_
