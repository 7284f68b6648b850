#include "tests/bench/cache_trace/simulated_cache.h"

#include "tests/bench/cache_trace/optimum_cache.h"
#include "tests/bench/cache_trace/queue_caches.h"
#include "tests/bench/cache_trace/service_cache.h"
#include "tests/bench/cache_trace/tiny_lfu_cache.h"

namespace slipstream::bench {

std::unique_ptr<SimulatedCache> MakeSimulatedCache(std::string_view policy, uint32_t capacity,
                                                   const Trace& trace) {
  const uint32_t keys = trace.keys_count();
  if (policy == "lru") return std::make_unique<LruCache>(capacity, keys);
  if (policy == "sieve") return std::make_unique<SieveCache>(capacity, keys);
  if (policy == "s3fifo") return std::make_unique<S3FifoCache>(capacity, keys);
  if (policy == "wtinylfu") return std::make_unique<TinyLfuCache>(capacity, trace, true);
  if (policy == "wtinylfu-1") return std::make_unique<TinyLfuCache>(capacity, trace, false);
  if (policy == "optimum") return std::make_unique<OptimumCache>(capacity, trace);
  if (policy == "ours") return std::make_unique<ServiceCache>(capacity, 1, trace);
  if (policy == "ours-16") return std::make_unique<ServiceCache>(capacity, 16, trace);
  return nullptr;
}

}  // namespace slipstream::bench
