// How often keys were asked for lately, in about eight bytes per entry of the cache: a count-min
// sketch of 4-bit counters, four per key within one block of 64 bytes (one cache line), halved
// after `memory_reads` times as many increments as there are entries (Einziger, Friedman, Manes,
// "TinyLFU", TOS 2017; the layout is Caffeine's).
//
// Thread safety: none.
#ifndef SERVICES_CACHE_EVICTION_FREQUENCY_SKETCH_H_
#define SERVICES_CACHE_EVICTION_FREQUENCY_SKETCH_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace slipstream::cache {

class FrequencySketch {
 public:
  static constexpr uint32_t kMaxFrequency = 15;

  FrequencySketch() { Fit(1, 10); }

  // Makes it large enough for so many entries. Growing keeps what is known: a key's counters stand
  // in one block of the smaller table, and so in both blocks that it becomes.
  void Fit(size_t entries_count, size_t memory_reads) {
    const size_t words =
        std::bit_ceil(std::max(entries_count + entries_count / 2, size_t{32} * kWordsPerBlock));
    while (table_.size() < words) {
      const size_t old_size = table_.size();
      table_.resize(std::max(2 * old_size, kWordsPerBlock));
      std::copy_n(table_.begin(), table_.size() - old_size,
                  table_.begin() + static_cast<std::ptrdiff_t>(old_size));
    }
    halve_after_count_ = memory_reads * entries_count;
  }

  uint32_t Frequency(uint64_t hash) const {
    uint32_t least = kMaxFrequency;
    ForEachCounter(hash, [&](size_t word, int shift) {
      least = std::min(least, static_cast<uint32_t>(table_[word] >> shift) & kMaxFrequency);
    });
    return least;
  }

  void Increment(uint64_t hash) {
    bool added = false;
    ForEachCounter(hash, [&](size_t word, int shift) {
      if (((table_[word] >> shift) & kMaxFrequency) == kMaxFrequency) return;
      table_[word] += uint64_t{1} << shift;
      added = true;
    });
    if (added && ++increments_count_ >= halve_after_count_) Halve();
  }

  void Prefetch(uint64_t hash) const { __builtin_prefetch(&table_[BlockOf(hash)], 1); }

  size_t memory_bytes() const { return table_.capacity() * sizeof(uint64_t); }

 private:
  static constexpr size_t kWordsPerBlock = 8;

  size_t BlockOf(uint64_t hash) const {
    return (static_cast<uint32_t>(hash) & (table_.size() / kWordsPerBlock - 1)) * kWordsPerBlock;
  }
  template <typename Visit>
  void ForEachCounter(uint64_t hash, Visit visit) const {
    const size_t block = BlockOf(hash);
    const auto choice = static_cast<uint32_t>(hash >> 32);
    for (uint32_t row = 0; row < 4; ++row) {
      const uint32_t bits = choice >> (8 * row);
      visit(block + 2 * row + (bits & 1), static_cast<int>((bits >> 1 & 15) * 4));
    }
  }
  void Halve() {
    for (auto& word : table_) word = (word >> 1) & 0x7777777777777777;
    increments_count_ /= 2;
  }

  std::vector<uint64_t> table_;
  size_t halve_after_count_ = 10;
  size_t increments_count_ = 0;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_EVICTION_FREQUENCY_SKETCH_H_
