// Eviction rules that know of a key only what is in its record, and of the cache how many bytes
// came when: no lists. What a rule lets go, it lets go by moving a limit past all keys of one
// epoch, and a key's record tells on which side it is.
//
//   CoarseLru        what was read since the limit
//   CoarseLirs       hot or cold, each with a limit for the last read; a key that was read since
//   the
//                    coldest of the hot ones becomes hot (Jiang and Zhang, "LIRS", SIGMETRICS 2002)
//   CoarseS3Fifo     a limit for each queue; who was read goes on to the end of the main queue
//                    together with all others of that epoch, which its record finds out when it is
//                    next looked at (Yang et al., "FIFO queues are all you need", SOSP 2023)
//   CoarseFrequency  the most frequent keys that fit, known or not: the least frequency that is in,
//                    and which part of the keys that have it
//
// Each one's Read returns whether the rule had the key, and has it from now on; the record's
// last_read is still that of the read before. Count adds a record's weight where it is held, or
// takes it away: the record is forgotten, or changes its weight. StartEpoch comes once with each.
//
// Thread safety: none.
#ifndef SERVICES_CACHE_EVICTION_COARSE_RULES_H_
#define SERVICES_CACHE_EVICTION_COARSE_RULES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "services/cache/eviction/coarse_record.h"

namespace slipstream::cache {

class CoarseLru {
 public:
  explicit CoarseLru(int64_t max_bytes) : max_bytes_(max_bytes) {}

  bool Holds(const CoarseRecord& record, Epoch now) const {
    return sums_.Counts(record.last_read, now);
  }
  bool Read(CoarseRecord* record, Epoch now);
  void Count(const CoarseRecord& record, Epoch now, int sign);
  void StartEpoch(Epoch now) { sums_.ForgetOld(now); }
  size_t memory_bytes() const { return sums_.memory_bytes(); }

 private:
  const int64_t max_bytes_;
  EpochSums sums_;
};

class CoarseLirs {
 public:
  // `number`: which of the record's two. `cold_percent` of the room is for what is not hot.
  CoarseLirs(int number, int64_t max_bytes, int64_t cold_percent);

  bool Holds(const CoarseRecord& record, Epoch now) const {
    return Hot(record, now) || Cold(record, now);
  }
  bool Cold(const CoarseRecord& record, Epoch now) const {
    return (record.heat & cold_bit_) != 0 && cold_.Counts(record.last_read, now);
  }
  bool Read(CoarseRecord* record, Epoch now);
  void Count(const CoarseRecord& record, Epoch now, int sign);
  void StartEpoch(Epoch now);
  size_t memory_bytes() const { return hot_.memory_bytes() + cold_.memory_bytes(); }

 private:
  bool Hot(const CoarseRecord& record, Epoch now) const {
    return (record.heat & hot_bit_) != 0 && hot_.Counts(record.last_read, now);
  }

  const uint8_t hot_bit_;
  const uint8_t cold_bit_;
  const int64_t max_bytes_;
  const int64_t hot_max_bytes_;
  EpochSums hot_, cold_;
  bool filled_ = false;
};

class CoarseS3Fifo {
 public:
  explicit CoarseS3Fifo(int64_t max_bytes) : max_bytes_(max_bytes) {}

  bool Holds(CoarseRecord* record, Epoch now) const {
    return InSmall(record, now) || record->queue == kMain;
  }
  bool InSmall(CoarseRecord* record, Epoch now) const {
    CatchUp(record, now);
    return record->queue == kSmall;
  }
  bool Read(CoarseRecord* record, Epoch now);
  void Count(CoarseRecord* record, Epoch now, int sign);
  // What is too much goes, but what came in this epoch stays: true when that is all there is, and
  // the next one has to start.
  bool Shrink(Epoch now);
  void StartEpoch(Epoch now);
  size_t memory_bytes() const;

 private:
  enum Queue : uint8_t { kNone, kSmall, kMain, kGhost };
  static constexpr uint8_t kMaxReads = 3;
  static constexpr int64_t kSmallPercent = 10;
  static constexpr int64_t kGhostPercent = 90;

  bool IsBefore(Epoch epoch, Epoch first, Epoch now) const {
    return static_cast<Epoch>(now - epoch) > static_cast<Epoch>(now - first);
  }
  void CatchUp(CoarseRecord* record, Epoch now) const;
  void RetireSmall(Epoch now);
  void RetireMain(Epoch now);

  const int64_t max_bytes_;
  struct Small {
    int64_t unread = 0, read = 0;  // read: more than once
    Epoch retired = 0;
  };
  struct Main {
    std::array<int64_t, kMaxReads + 1> by_reads{};
    Epoch retired = 0;
  };
  std::vector<Small> small_ = std::vector<Small>(kEpochsCount);
  std::vector<Main> main_ = std::vector<Main>(kEpochsCount);
  std::vector<int64_t> evicted_until_ = std::vector<int64_t>(kEpochsCount);
  int64_t small_bytes_ = 0, main_bytes_ = 0;
  int64_t evicted_bytes_ = 0;  // from the small queue, since ever
  Epoch small_first_ = 0, main_first_ = 0;
};

class CoarseFrequency {
 public:
  explicit CoarseFrequency(int64_t max_bytes) : max_bytes_(max_bytes) {}

  bool Holds(const CoarseRecord& record, Epoch now) const {
    return IsIn(FrequencyOf(record, now), record.tag);
  }
  bool Read(CoarseRecord* record, Epoch now);
  void Count(const CoarseRecord& record, Epoch now, int sign);
  // All frequencies are halved. An epoch has to start with it.
  void Halve();
  void StartEpoch(Epoch now);
  size_t memory_bytes() const { return halvings_at_.capacity(); }

 private:
  static constexpr uint8_t kMaxFrequency = 15;

  uint8_t FrequencyOf(const CoarseRecord& record, Epoch now) const;
  bool IsIn(uint8_t frequency, uint32_t tag) const {
    return frequency > least_ || (frequency == least_ && tag * 0x9e3779b9u <= least_part_);
  }

  const int64_t max_bytes_;
  std::array<int64_t, kMaxFrequency + 1> bytes_{};  // by frequency; 0 is not counted
  // In is what is more frequent than the least, and of that the keys whose tag, mixed, is not above
  // this part: the same ones of a loop each time.
  uint8_t least_ = 1;
  uint32_t least_part_ = UINT32_MAX;
  uint8_t halvings_ = 0;
  std::vector<uint8_t> halvings_at_ = std::vector<uint8_t>(kEpochsCount);
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_EVICTION_COARSE_RULES_H_
