// The policies that are queues and counters: LRU, SIEVE and S3-FIFO.
//
// Thread safety: none.
#ifndef TESTS_BENCH_CACHE_TRACE_QUEUE_CACHES_H_
#define TESTS_BENCH_CACHE_TRACE_QUEUE_CACHES_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tests/bench/cache_trace/key_list.h"
#include "tests/bench/cache_trace/simulated_cache.h"

namespace slipstream::bench {

class LruCache final : public SimulatedCache {
 public:
  LruCache(uint32_t capacity, uint32_t keys_count)
      : capacity_(capacity), resident_(keys_count), links_(keys_count) {}

  bool Access(uint32_t key) override {
    if (resident_[key]) {
      list_.MoveToNewest(key);
      return true;
    }
    if (list_.size() == capacity_) resident_[list_.PopOldest()] = false;
    list_.PushNewest(key);
    resident_[key] = true;
    return false;
  }

 private:
  const uint32_t capacity_;
  std::vector<uint8_t> resident_;
  KeyLinks links_;
  KeyList list_{&links_};
};

// Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024: a hand walks from old to new over a FIFO
// queue, spares what was read since it last came by, and evicts the first that was not.
class SieveCache final : public SimulatedCache {
 public:
  SieveCache(uint32_t capacity, uint32_t keys_count)
      : capacity_(capacity), resident_(keys_count), read_(keys_count), links_(keys_count) {}

  bool Access(uint32_t key) override {
    if (resident_[key]) {
      read_[key] = true;
      return true;
    }
    if (list_.size() == capacity_) Evict();
    list_.PushNewest(key);
    resident_[key] = true;
    read_[key] = false;
    return false;
  }

 private:
  void Evict() {
    uint32_t at = hand_ != kNoKey ? hand_ : list_.oldest();
    while (read_[at]) {
      read_[at] = false;
      at = list_.NewerThan(at);
      if (at == kNoKey) at = list_.oldest();
    }
    hand_ = list_.NewerThan(at);
    list_.Remove(at);
    resident_[at] = false;
  }

  const uint32_t capacity_;
  std::vector<uint8_t> resident_;
  std::vector<uint8_t> read_;
  KeyLinks links_;
  KeyList list_{&links_};
  uint32_t hand_ = kNoKey;
};

// Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023, with the figures of
// its authors' simulator: a small queue of 10 %, to the main one after two reads, ghosts for as
// many as the main queue holds.
class S3FifoCache final : public SimulatedCache {
 public:
  S3FifoCache(uint32_t capacity, uint32_t keys_count)
      : small_capacity_(std::max<uint32_t>(1, capacity / 10)),
        main_capacity_(std::max<uint32_t>(1, capacity - capacity / 10)),
        capacity_(capacity),
        state_(keys_count, kAbsent),
        reads_(keys_count),
        links_(keys_count) {}

  bool Access(uint32_t key) override {
    if (state_[key] == kSmall || state_[key] == kMain) {
      if (reads_[key] < kMaxReads) ++reads_[key];
      return true;
    }
    const bool recalled = state_[key] == kGhost;
    if (recalled) ghosts_.Remove(key);
    while (small_.size() + main_.size() >= capacity_) {
      if (small_.size() >= small_capacity_ || main_.size() == 0) {
        EvictFromSmall();
      } else {
        EvictFromMain();
      }
    }
    reads_[key] = 0;
    state_[key] = recalled ? kMain : kSmall;
    (recalled ? main_ : small_).PushNewest(key);
    return false;
  }

 private:
  enum State : uint8_t { kAbsent, kSmall, kMain, kGhost };
  static constexpr uint8_t kMaxReads = 3;

  void EvictFromSmall() {
    while (small_.size() > 0) {
      const uint32_t key = small_.PopOldest();
      if (reads_[key] > 1) {
        reads_[key] = 0;
        state_[key] = kMain;
        main_.PushNewest(key);
        if (main_.size() > main_capacity_) EvictFromMain();
        continue;
      }
      state_[key] = kGhost;
      ghosts_.PushNewest(key);
      if (ghosts_.size() > main_capacity_) state_[ghosts_.PopOldest()] = kAbsent;
      return;
    }
  }
  void EvictFromMain() {
    for (;;) {
      const uint32_t key = main_.PopOldest();
      if (reads_[key] == 0) {
        state_[key] = kAbsent;
        return;
      }
      --reads_[key];
      main_.PushNewest(key);
    }
  }

  const uint32_t small_capacity_;
  const uint32_t main_capacity_;
  const uint32_t capacity_;
  std::vector<State> state_;
  std::vector<uint8_t> reads_;
  KeyLinks links_;
  KeyList small_{&links_};
  KeyList main_{&links_};
  KeyList ghosts_{&links_};
};

}  // namespace slipstream::bench

#endif  // TESTS_BENCH_CACHE_TRACE_QUEUE_CACHES_H_
