// The clairvoyant optimum (Belady, "A study of replacement algorithms for virtual-storage
// computers", 1966): evicts the key that is asked for latest from now. A bound, not a peer.
//
// Thread safety: none.
#ifndef TESTS_BENCH_CACHE_TRACE_OPTIMUM_CACHE_H_
#define TESTS_BENCH_CACHE_TRACE_OPTIMUM_CACHE_H_

#include <cstdint>
#include <queue>
#include <utility>
#include <vector>

#include "tests/bench/cache_trace/simulated_cache.h"

namespace slipstream::bench {

// REQUIRES: Access is called with the trace's requests, in order.
class OptimumCache final : public SimulatedCache {
 public:
  OptimumCache(uint32_t capacity, const Trace& trace)
      : capacity_(capacity), next_(trace.requests.size()), due_(trace.keys_count(), kAbsent) {
    std::vector<uint32_t> upcoming(trace.keys_count(), kNever);
    for (size_t i = trace.requests.size(); i-- > 0;) {
      next_[i] = std::exchange(upcoming[trace.requests[i]], static_cast<uint32_t>(i));
    }
  }

  bool Access(uint32_t key) override {
    const uint32_t due = next_[now_++];
    const bool hit = due_[key] != kAbsent;
    if (!hit) {
      if (size_ == capacity_) Evict();
      ++size_;
    }
    due_[key] = due;
    queue_.push({due, key});
    return hit;
  }

 private:
  static constexpr uint32_t kNever = UINT32_MAX - 1;
  static constexpr uint32_t kAbsent = UINT32_MAX;

  void Evict() {
    for (;;) {
      const auto [due, key] = queue_.top();
      queue_.pop();
      if (due_[key] != due) continue;  // asked for again since
      due_[key] = kAbsent;
      --size_;
      return;
    }
  }

  const uint32_t capacity_;
  uint32_t size_ = 0;
  size_t now_ = 0;
  std::vector<uint32_t> next_;  // by request: when its key is asked for again
  std::vector<uint32_t> due_;   // by key
  std::priority_queue<std::pair<uint32_t, uint32_t>> queue_;
};

}  // namespace slipstream::bench

#endif  // TESTS_BENCH_CACHE_TRACE_OPTIMUM_CACHE_H_
