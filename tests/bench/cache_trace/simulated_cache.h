// A cache of one policy as the simulator sees it: unit weights, capacity in entries, keys numbered
// from 0 in the order of their first request.
//
// Thread safety: none; each simulation has its own.
#ifndef TESTS_BENCH_CACHE_TRACE_SIMULATED_CACHE_H_
#define TESTS_BENCH_CACHE_TRACE_SIMULATED_CACHE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace slipstream::bench {

// A trace in memory.
struct Trace {
  std::vector<uint32_t> requests;    // key numbers, in the order they were asked for
  std::vector<uint64_t> key_hashes;  // by key number; well mixed
  uint32_t keys_count() const { return static_cast<uint32_t>(key_hashes.size()); }
};

class SimulatedCache {
 public:
  virtual ~SimulatedCache() = default;
  // Asks for a key; true for a hit. A miss puts the key into the cache.
  virtual bool Access(uint32_t key) = 0;
};

// The policies by name: lru, sieve, s3fifo, wtinylfu (adaptive window), wtinylfu-1 (1 % window),
// optimum (clairvoyant) and ours. `trace` outlives the cache. Null for an unknown name.
std::unique_ptr<SimulatedCache> MakeSimulatedCache(std::string_view policy, uint32_t capacity,
                                                   const Trace& trace);

}  // namespace slipstream::bench

#endif  // TESTS_BENCH_CACHE_TRACE_SIMULATED_CACHE_H_
