#include "services/cache/eviction/coarse_shadows.h"

#include <algorithm>
#include <bit>

namespace slipstream::cache {

namespace {

constexpr size_t kRecordsPerEntry = 5;
constexpr size_t kLeastEntries = 16;
// Grows by a quarter at a time.
constexpr size_t kGrowthPart = 4;
// Frequencies are halved after so many reads, in multiples of the entries.
constexpr size_t kReadsPerHalving = 40;
// What no rule holds is forgotten when it was not read for so many epochs, seven times as many
// misses as there are entries.
constexpr Epoch kForgottenAge = 448;
// A key that was never read before: longer ago than anything counts.
constexpr Epoch kNeverAge = 0x8000;

enum : uint8_t {
  kLirsVote = 1,
  kS3FifoVote = 2,
  kWideLirsVote = 4,
  kLruVote = 8,
  kFrequencyVote = 16,
  kColdInLirs = 32,
  kSmallInS3Fifo = 64,
};
constexpr uint8_t kAllVotes = 31;

}  // namespace

CoarseShadows::CoarseShadows(int64_t max_bytes)
    : lirs_(0, max_bytes, 1),
      wide_lirs_(1, max_bytes, 30),
      s3_fifo_(max_bytes),
      lru_(max_bytes),
      frequency_(max_bytes) {
  Fit(kLeastEntries);
}

CoarseRecord* CoarseShadows::Find(uint64_t hash) {
  const uint32_t tag = TagOf(hash);
  CoarseRecord* const bucket = &records_[BucketOf(tag)];
  for (size_t i = 0; i < kWays; ++i) {
    if (bucket[i].used != 0 && bucket[i].tag == tag) return &bucket[i];
  }
  return nullptr;
}

// In the place of a free one, or of the one that the fewest rules hold, and of those the oldest.
CoarseRecord* CoarseShadows::Make(uint32_t tag) {
  CoarseRecord* const bucket = &records_[BucketOf(tag)];
  CoarseRecord* place = nullptr;
  uint32_t least_missed = 0;
  for (size_t i = 0; i < kWays; ++i) {
    if (bucket[i].used == 0) {
      place = &bucket[i];
      break;
    }
    const int others = std::popcount(static_cast<uint8_t>(~VotesOf(&bucket[i]) & kAllVotes));
    const auto age = static_cast<Epoch>(now_ - bucket[i].last_read);
    const uint32_t rank = (static_cast<uint32_t>(others) << 16 | age) + 1;
    if (rank <= least_missed) continue;
    least_missed = rank;
    place = &bucket[i];
  }
  if (place->used != 0) Forget(place);
  *place = {.tag = tag, .last_read = static_cast<Epoch>(now_ - kNeverAge), .used = 1};
  return place;
}

void CoarseShadows::Fit(size_t entries_count) {
  entries_count_ = std::max(entries_count, kLeastEntries);
  const size_t wanted = kRecordsPerEntry * entries_count_;
  if (records_.size() >= wanted) return;
  std::vector<CoarseRecord> old(wanted / kWays * kWays + wanted / kGrowthPart / kWays * kWays +
                                kWays);
  old.swap(records_);
  for (const CoarseRecord& record : old) {
    if (record.used != 0) *Make(record.tag) = record;
  }
}

CoarseShadows::Standing CoarseShadows::Read(uint64_t hash, uint32_t weight_bytes,
                                            size_t entries_count) {
  Fit(entries_count);
  CoarseRecord* record = Find(hash);
  if (record == nullptr) {
    record = Make(TagOf(hash));
    record->weight = ShortWeight(weight_bytes);
  }
  Votes hits = 0;
  if (lirs_.Read(record, now_)) hits |= kLirsVote;
  if (s3_fifo_.Read(record, now_)) hits |= kS3FifoVote;
  if (wide_lirs_.Read(record, now_)) hits |= kWideLirsVote;
  if (lru_.Read(record, now_)) hits |= kLruVote;
  if (frequency_.Read(record, now_)) hits |= kFrequencyVote;
  record->last_read = now_;
  while (s3_fifo_.Shrink(now_)) StartEpoch();
  CountRead(hits != kAllVotes);
  return {hits, VotesOf(record)};
}

void CoarseShadows::CountRead(bool missed) {
  misses_ += missed;
  ++reads_;
  if (reads_until_halving_ > 0) --reads_until_halving_;
  if (misses_ * kEpochsPerEntriesMissed >= entries_count_ ||
      reads_ * kEpochsPerEntriesRead >= entries_count_)
    StartEpoch();
}

void CoarseShadows::StartEpoch() {
  misses_ = reads_ = 0;
  ++now_;
  if (reads_until_halving_ == 0) {
    frequency_.Halve();
    reads_until_halving_ = kReadsPerHalving * entries_count_;
  }
  lirs_.StartEpoch(now_);
  s3_fifo_.StartEpoch(now_);
  wide_lirs_.StartEpoch(now_);
  lru_.StartEpoch(now_);
  frequency_.StartEpoch(now_);
  Sweep();
}

// Some records each epoch, all of them in kEpochsPerSweep.
void CoarseShadows::Sweep() {
  for (size_t i = records_.size() / kEpochsPerSweep + 1; i > 0; --i) {
    if (++swept_ >= records_.size()) swept_ = 0;
    CoarseRecord& record = records_[swept_];
    if (record.used == 0) continue;
    const bool unheld = (VotesOf(&record) & kAllVotes) == 0;
    const auto age = static_cast<Epoch>(now_ - record.last_read);
    if (unheld && age > kForgottenAge) {
      Forget(&record);
    } else if (age > kMaxAge - kEpochsPerSweep) {
      // Soon nothing will know any more how often they were halved.
      frequency_.Count(record, now_, -1);
      record.frequency = 0;
    }
  }
}

CoarseShadows::Votes CoarseShadows::VotesOf(CoarseRecord* record) {
  Votes votes = 0;
  if (lirs_.Holds(*record, now_)) votes |= kLirsVote;
  if (s3_fifo_.Holds(record, now_)) votes |= kS3FifoVote;
  if (wide_lirs_.Holds(*record, now_)) votes |= kWideLirsVote;
  if (lru_.Holds(*record, now_)) votes |= kLruVote;
  if (frequency_.Holds(*record, now_)) votes |= kFrequencyVote;
  if (lirs_.Cold(*record, now_)) votes |= kColdInLirs;
  if (s3_fifo_.InSmall(record, now_)) votes |= kSmallInS3Fifo;
  return votes;
}

CoarseShadows::Votes CoarseShadows::VotesOf(uint64_t hash) {
  CoarseRecord* const record = Find(hash);
  return record == nullptr ? 0 : VotesOf(record);
}

void CoarseShadows::Count(CoarseRecord* record, int sign) {
  lirs_.Count(*record, now_, sign);
  s3_fifo_.Count(record, now_, sign);
  wide_lirs_.Count(*record, now_, sign);
  lru_.Count(*record, now_, sign);
  frequency_.Count(*record, now_, sign);
}

void CoarseShadows::Forget(CoarseRecord* record) {
  Count(record, -1);
  record->used = 0;
}

void CoarseShadows::Remove(uint64_t hash) {
  if (CoarseRecord* const record = Find(hash); record != nullptr) Forget(record);
}

void CoarseShadows::Reweigh(uint64_t hash, uint32_t weight_bytes) {
  CoarseRecord* const record = Find(hash);
  if (record == nullptr) return;
  Count(record, -1);
  record->weight = ShortWeight(weight_bytes);
  Count(record, 1);
}

void CoarseShadows::Prefetch(uint64_t hash) const {
  const CoarseRecord* const bucket = &records_[BucketOf(TagOf(hash))];
  __builtin_prefetch(bucket, 1);
  __builtin_prefetch(reinterpret_cast<const char*>(bucket + kWays) - 1, 1);
}

size_t CoarseShadows::memory_bytes() const {
  return records_.capacity() * sizeof(CoarseRecord) + lirs_.memory_bytes() +
         wide_lirs_.memory_bytes() + s3_fifo_.memory_bytes() + lru_.memory_bytes() +
         frequency_.memory_bytes();
}

}  // namespace slipstream::cache
