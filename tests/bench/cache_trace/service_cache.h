// The cache service's own policy, the class that it links, with every entry of weight 1; in one
// shard, or in as many as a store has, each with its share of the room.
//
// Thread safety: none.
#ifndef TESTS_BENCH_CACHE_TRACE_SERVICE_CACHE_H_
#define TESTS_BENCH_CACHE_TRACE_SERVICE_CACHE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "services/cache/eviction/adaptive_policy.h"
#include "tests/bench/cache_trace/simulated_cache.h"

namespace slipstream::bench {

class ServiceCache final : public SimulatedCache {
 public:
  // As much for the shadows in all as a store of 256 MiB has.
  static constexpr size_t kMaxRecordsCount =
      (256u << 20) / 16 / cache::AdaptivePolicy::kBytesPerRecord;

  ServiceCache(uint32_t capacity, uint32_t shards_count, const Trace& trace)
      : trace_(trace), links_(trace.keys_count()) {
    for (uint32_t i = 0; i < shards_count; ++i) {
      const int64_t share = capacity / shards_count + (i < capacity % shards_count ? 1 : 0);
      max_.push_back(share);
      policies_.push_back(std::make_unique<cache::AdaptivePolicy>(cache::AdaptivePolicy::Options{
          .max_bytes = share, .max_records_count = kMaxRecordsCount / shards_count}));
    }
  }

  bool Access(uint32_t key) override {
    cache::EntryLink& link = links_[key];
    const uint64_t hash = trace_.key_hashes[key];
    // By the same bits as the store.
    const size_t shard = (hash >> 48) % policies_.size();
    cache::AdaptivePolicy& policy = *policies_[shard];
    if (link.weight_bytes > 0) {
      policy.Touch(&link);
      return true;
    }
    link = {.hash = hash, .weight_bytes = 1};
    policy.Insert(&link);
    while (policy.bytes() > max_[shard]) policy.Evict()->weight_bytes = 0;
    return false;
  }

 private:
  const Trace& trace_;
  std::vector<int64_t> max_;
  std::vector<std::unique_ptr<cache::AdaptivePolicy>> policies_;
  std::vector<cache::EntryLink> links_;  // by key number; no weight: not held
};

}  // namespace slipstream::bench

#endif  // TESTS_BENCH_CACHE_TRACE_SERVICE_CACHE_H_
