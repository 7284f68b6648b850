// W-TinyLFU (Einziger, Friedman, Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", TOS
// 2017) as Caffeine has it: newcomers pass through an LRU window; on leaving it they must be
// asked for more often than the oldest of the main space to stay, by a count-min sketch of 4-bit
// counters. The adaptive one moves the window's size by hill climbing ("Adaptive Software Cache
// Management", Middleware 2018), with Caffeine's figures.
//
// Thread safety: none.
#ifndef TESTS_BENCH_CACHE_TRACE_TINY_LFU_CACHE_H_
#define TESTS_BENCH_CACHE_TRACE_TINY_LFU_CACHE_H_

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "tests/bench/cache_trace/key_list.h"
#include "tests/bench/cache_trace/simulated_cache.h"

namespace slipstream::bench {

// Caffeine's FrequencySketch: four 4-bit counters of a key within one block of 64 bytes; halved
// after ten times as many requests as the cache has entries.
class FrequencySketch {
 public:
  explicit FrequencySketch(uint32_t capacity)
      : table_(std::bit_ceil(std::max<uint32_t>(capacity, 8))),
        block_mask_(static_cast<uint32_t>(table_.size() >> 3) - 1),
        sample_count_(10 * std::max<uint32_t>(capacity, 1)) {}

  uint32_t Frequency(uint64_t hash) const {
    uint32_t least = 15;
    ForEachCounter(hash, [&](uint32_t index, int shift) {
      least = std::min(least, static_cast<uint32_t>(table_[index] >> shift) & 15);
    });
    return least;
  }
  void Increment(uint64_t hash) {
    bool added = false;
    ForEachCounter(hash, [&](uint32_t index, int shift) {
      if (((table_[index] >> shift) & 15) == 15) return;
      table_[index] += uint64_t{1} << shift;
      added = true;
    });
    if (added && ++size_ == sample_count_) Halve();
  }

 private:
  template <typename Visit>
  void ForEachCounter(uint64_t hash, Visit visit) const {
    const uint32_t block = (static_cast<uint32_t>(hash) & block_mask_) << 3;
    const auto counters = static_cast<uint32_t>(hash >> 32);
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t bits = counters >> (i << 3);
      visit(block + (bits & 1) + (i << 1), static_cast<int>((bits >> 1 & 15) << 2));
    }
  }
  void Halve() {
    uint32_t odd = 0;
    for (auto& word : table_) {
      odd += static_cast<uint32_t>(std::popcount(word & 0x1111111111111111));
      word = (word >> 1) & 0x7777777777777777;
    }
    size_ = (size_ - (odd >> 2)) >> 1;
  }

  std::vector<uint64_t> table_;
  const uint32_t block_mask_;
  const uint32_t sample_count_;
  uint32_t size_ = 0;
};

class TinyLfuCache final : public SimulatedCache {
 public:
  TinyLfuCache(uint32_t capacity, const Trace& trace, bool adaptive)
      : trace_(trace),
        adaptive_(adaptive),
        capacity_(capacity),
        window_max_(capacity - static_cast<uint32_t>(0.99 * capacity)),
        protected_max_(static_cast<uint32_t>(0.8 * (capacity - window_max_))),
        step_(-0.0625 * capacity),
        sketch_(capacity),
        where_(trace.keys_count(), kAbsent),
        links_(trace.keys_count()) {}

  bool Access(uint32_t key) override {
    sketch_.Increment(trace_.key_hashes[key]);
    const bool hit = where_[key] != kAbsent;
    if (hit) {
      Touch(key);
    } else {
      Put(&window_, kWindow, key);
      if (window_.size() > window_max_) LeaveWindow();
    }
    if (adaptive_) Climb(hit);
    return hit;
  }

 private:
  enum Where : uint8_t { kAbsent, kWindow, kProbation, kProtected };
  static constexpr uint32_t kAdmitAtRandomFrom = 6;

  void Put(KeyList* list, Where where, uint32_t key) {
    list->PushNewest(key);
    where_[key] = where;
  }
  void Touch(uint32_t key) {
    switch (where_[key]) {
      case kWindow:
        window_.MoveToNewest(key);
        break;
      case kProtected:
        protected_.MoveToNewest(key);
        break;
      default:
        probation_.Remove(key);
        Put(&protected_, kProtected, key);
        if (protected_.size() > protected_max_) {
          Put(&probation_, kProbation, protected_.PopOldest());
        }
    }
  }
  void LeaveWindow() {
    const uint32_t candidate = window_.PopOldest();
    Put(&probation_, kProbation, candidate);
    if (window_.size() + probation_.size() + protected_.size() <= capacity_) return;
    KeyList& from =
        probation_.oldest() != candidate || protected_.size() == 0 ? probation_ : protected_;
    const uint32_t victim = from.oldest();
    const uint32_t evict = victim == candidate || !Admit(candidate, victim) ? candidate : victim;
    (evict == candidate ? probation_ : from).Remove(evict);
    where_[evict] = kAbsent;
  }
  bool Admit(uint32_t candidate, uint32_t victim) {
    const uint32_t asked = sketch_.Frequency(trace_.key_hashes[candidate]);
    if (asked > sketch_.Frequency(trace_.key_hashes[victim])) return true;
    if (asked < kAdmitAtRandomFrom) return false;
    random_ = random_ * 6364136223846793005 + 1442695040888963407;
    return (random_ >> 33 & 127) == 0;
  }

  void Climb(bool hit) {
    hits_ += hit;
    if (++requests_ < uint64_t{10} * capacity_) return;
    const double ratio = static_cast<double>(hits_) / static_cast<double>(requests_);
    const double change = ratio - previous_ratio_;
    const double amount = change >= 0 ? step_ : -step_;
    step_ = std::abs(change) >= 0.05 ? std::copysign(0.0625 * capacity_, amount) : 0.98 * amount;
    previous_ratio_ = ratio;
    hits_ = requests_ = 0;
    Resize(static_cast<int64_t>(amount));
  }
  void Resize(int64_t by) {
    if (by > 0) {
      const auto grow = static_cast<uint32_t>(std::min<int64_t>(by, protected_max_));
      window_max_ += grow;
      protected_max_ -= grow;
      while (protected_.size() > protected_max_) {
        Put(&probation_, kProbation, protected_.PopOldest());
      }
      for (uint32_t i = 0; i < grow && window_.size() < window_max_; ++i) {
        KeyList& from = probation_.size() > 0 ? probation_ : protected_;
        if (from.size() == 0) break;
        Put(&window_, kWindow, from.PopOldest());
      }
    } else {
      const auto shrink =
          static_cast<uint32_t>(std::min<int64_t>(-by, std::max<int64_t>(window_max_, 1) - 1));
      window_max_ -= shrink;
      protected_max_ += shrink;
      while (window_.size() > window_max_) Put(&probation_, kProbation, window_.PopOldest());
    }
  }

  const Trace& trace_;
  const bool adaptive_;
  const uint32_t capacity_;
  uint32_t window_max_;
  uint32_t protected_max_;
  double step_;
  double previous_ratio_ = 0;
  uint64_t hits_ = 0;
  uint64_t requests_ = 0;
  uint64_t random_ = 1;
  FrequencySketch sketch_;
  std::vector<Where> where_;
  KeyLinks links_;
  KeyList window_{&links_};
  KeyList probation_{&links_};
  KeyList protected_{&links_};
};

}  // namespace slipstream::bench

#endif  // TESTS_BENCH_CACHE_TRACE_TINY_LFU_CACHE_H_
