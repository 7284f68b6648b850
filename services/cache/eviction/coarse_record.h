// What CoarseShadows knows of a key: 12 bytes.
//
// Thread safety: none.
#ifndef SERVICES_CACHE_EVICTION_COARSE_RECORD_H_
#define SERVICES_CACHE_EVICTION_COARSE_RECORD_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace slipstream::cache {

// When: it goes on by one with each 64th part of the entries that is missed, or each 32nd that is
// read. Compared by how long ago, as it starts again from 0.
using Epoch = uint16_t;
inline constexpr size_t kEpochsPerEntriesMissed = 64;
inline constexpr size_t kEpochsPerEntriesRead = 32;
// Of so many epochs the rules keep sums: sixteen times as many misses as there are entries.
inline constexpr size_t kEpochsCount = 1024;
// Every record is looked at once in so many epochs, so that what it says of time stays true.
inline constexpr size_t kEpochsPerSweep = 128;
// Nothing that is older than this counts any more.
inline constexpr Epoch kMaxAge = kEpochsCount - kEpochsPerSweep - 8;

// A weight in 16 bits: exact below 2048, else rounded down to 11 bits.
class ShortWeight {
 public:
  ShortWeight() = default;
  explicit ShortWeight(uint32_t bytes) {
    const int shift = std::bit_width(bytes | 1024) - 11;
    code_ = static_cast<uint16_t>(1024 * shift + static_cast<int>(bytes >> shift));
  }
  int64_t bytes() const {
    if (code_ < 2048) return code_;
    const int shift = code_ / 1024 - 1;
    return int64_t{code_ - 1024 * shift} << shift;
  }

 private:
  uint16_t code_ = 0;
};

struct CoarseRecord {
  uint32_t tag = 0;  // of the key's hash
  ShortWeight weight;
  Epoch last_read = 0;
  Epoch queued = 0;           // S3-FIFO: when it came into its queue, or became a ghost
  uint8_t frequency : 4 = 0;  // at its last read
  uint8_t reads : 2 = 0;      // S3-FIFO: since it was queued
  uint8_t queue : 2 = 0;      // S3-FIFO's
  uint8_t heat : 4 = 0;       // LIRS: two bits for each of two
  uint8_t used : 1 = 0;
};
static_assert(sizeof(CoarseRecord) == 12);

// Bytes by epoch, of the epochs from `first` on.
struct EpochSums {
  std::vector<int64_t> bytes = std::vector<int64_t>(kEpochsCount);
  int64_t total = 0;
  Epoch first = 0;

  bool Counts(Epoch epoch, Epoch now) const {
    return static_cast<Epoch>(now - epoch) <= static_cast<Epoch>(now - first);
  }
  void Add(Epoch epoch, int64_t by) {
    bytes[epoch % kEpochsCount] += by;
    total += by;
  }
  void DropFirst() {
    int64_t& gone = bytes[first++ % kEpochsCount];
    total -= gone;
    gone = 0;
  }
  // All but the present one may have to go.
  void ShrinkTo(int64_t max_bytes, Epoch now) {
    while (total > max_bytes && first != now) DropFirst();
  }
  void SkipEmpty(Epoch now) {
    while (first != now && bytes[first % kEpochsCount] == 0) ++first;
  }
  void ForgetOld(Epoch now) {
    while (static_cast<Epoch>(now - first) > kMaxAge) DropFirst();
  }
  size_t memory_bytes() const { return bytes.capacity() * sizeof(int64_t); }
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_EVICTION_COARSE_RECORD_H_
