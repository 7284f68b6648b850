#include "services/cache/eviction/coarse_rules.h"

#include <algorithm>

namespace slipstream::cache {

namespace {

Epoch Age(Epoch epoch, Epoch now) { return static_cast<Epoch>(now - epoch); }

}  // namespace

bool CoarseLru::Read(CoarseRecord* record, Epoch now) {
  const bool hit = Holds(*record, now);
  const int64_t weight = record->weight.bytes();
  if (hit) sums_.Add(record->last_read, -weight);
  sums_.Add(now, weight);
  sums_.ShrinkTo(max_bytes_, now);
  return hit;
}

void CoarseLru::Count(const CoarseRecord& record, Epoch now, int sign) {
  if (Holds(record, now)) sums_.Add(record.last_read, sign * record.weight.bytes());
}

CoarseLirs::CoarseLirs(int number, int64_t max_bytes, int64_t cold_percent)
    : hot_bit_(static_cast<uint8_t>(1 << 2 * number)),
      cold_bit_(static_cast<uint8_t>(2 << 2 * number)),
      max_bytes_(max_bytes),
      hot_max_bytes_(max_bytes - std::max<int64_t>(1, max_bytes * cold_percent / 100)) {}

bool CoarseLirs::Read(CoarseRecord* record, Epoch now) {
  const int64_t weight = record->weight.bytes();
  if (Hot(*record, now)) {
    hot_.Add(record->last_read, -weight);
    hot_.Add(now, weight);
    hot_.SkipEmpty(now);
    return true;
  }
  const bool hit = Cold(*record, now);
  if (hit) cold_.Add(record->last_read, -weight);
  const bool since_coldest = hot_.total > 0 && Age(record->last_read, now) < Age(hot_.first, now);
  const bool hot = since_coldest || (!filled_ && hot_.total + weight <= hot_max_bytes_);
  record->heat =
      static_cast<uint8_t>((record->heat & ~(hot_bit_ | cold_bit_)) | (hot ? hot_bit_ : cold_bit_));
  if (hot) {
    hot_.Add(now, weight);
    hot_.ShrinkTo(hot_max_bytes_, now);
    hot_.SkipEmpty(now);
  } else {
    filled_ = true;
    cold_.Add(now, weight);
  }
  cold_.ShrinkTo(max_bytes_ - std::min(hot_.total, hot_max_bytes_), now);
  return hit;
}

void CoarseLirs::Count(const CoarseRecord& record, Epoch now, int sign) {
  const int64_t by = sign * record.weight.bytes();
  if (Hot(record, now)) hot_.Add(record.last_read, by);
  if (Cold(record, now)) cold_.Add(record.last_read, by);
  // What was removed makes room for newcomers.
  if (hot_.total < hot_max_bytes_ / 2) filled_ = false;
}

void CoarseLirs::StartEpoch(Epoch now) {
  hot_.ForgetOld(now);
  cold_.ForgetOld(now);
}

void CoarseS3Fifo::CatchUp(CoarseRecord* record, Epoch now) const {
  if (record->queue == kSmall && IsBefore(record->queued, small_first_, now)) {
    record->queued = small_[record->queued % kEpochsCount].retired;
    record->queue = record->reads > 1 ? kMain : kGhost;
    record->reads = 0;
  }
  while (record->queue == kMain && IsBefore(record->queued, main_first_, now)) {
    record->queued = main_[record->queued % kEpochsCount].retired;
    if (record->reads == 0) {
      record->queue = kNone;
    } else {
      --record->reads;
    }
  }
}

bool CoarseS3Fifo::Read(CoarseRecord* record, Epoch now) {
  const int64_t weight = record->weight.bytes();
  CatchUp(record, now);
  if (record->queue == kSmall || record->queue == kMain) {
    if (record->reads == kMaxReads) return true;
    ++record->reads;
    if (record->queue == kMain) {
      auto& by_reads = main_[record->queued % kEpochsCount].by_reads;
      by_reads[record->reads - 1] -= weight;
      by_reads[record->reads] += weight;
    } else if (record->reads == 2) {
      Small& small = small_[record->queued % kEpochsCount];
      small.unread -= weight;
      small.read += weight;
    }
    return true;
  }
  const bool recalled = record->queue == kGhost && Age(record->queued, now) < kMaxAge &&
                        evicted_bytes_ - evicted_until_[record->queued % kEpochsCount] <=
                            max_bytes_ * kGhostPercent / 100;
  record->reads = 0;
  record->queued = now;
  record->queue = recalled ? kMain : kSmall;
  if (recalled) {
    main_[now % kEpochsCount].by_reads[0] += weight;
    main_bytes_ += weight;
  } else {
    small_[now % kEpochsCount].unread += weight;
    small_bytes_ += weight;
  }
  return false;
}

void CoarseS3Fifo::Count(CoarseRecord* record, Epoch now, int sign) {
  CatchUp(record, now);
  const int64_t by = sign * record->weight.bytes();
  if (record->queue == kSmall) {
    Small& small = small_[record->queued % kEpochsCount];
    (record->reads > 1 ? small.read : small.unread) += by;
    small_bytes_ += by;
  } else if (record->queue == kMain) {
    main_[record->queued % kEpochsCount].by_reads[record->reads] += by;
    main_bytes_ += by;
  }
}

bool CoarseS3Fifo::Shrink(Epoch now) {
  while (small_bytes_ + main_bytes_ > max_bytes_) {
    const bool from_small = main_bytes_ == 0 || small_bytes_ > max_bytes_ * kSmallPercent / 100;
    if ((from_small ? small_first_ : main_first_) == now) return true;
    if (from_small) {
      RetireSmall(now);
    } else {
      RetireMain(now);
    }
  }
  return false;
}

void CoarseS3Fifo::RetireSmall(Epoch now) {
  Small& small = small_[small_first_++ % kEpochsCount];
  small_bytes_ -= small.unread + small.read;
  main_bytes_ += small.read;
  main_[now % kEpochsCount].by_reads[0] += small.read;
  evicted_bytes_ += small.unread;
  evicted_until_[now % kEpochsCount] = evicted_bytes_;
  small = {.retired = now};
}

void CoarseS3Fifo::RetireMain(Epoch now) {
  Main& main = main_[main_first_++ % kEpochsCount];
  main_bytes_ -= main.by_reads[0];
  for (size_t reads = 1; reads <= kMaxReads; ++reads) {
    main_[now % kEpochsCount].by_reads[reads - 1] += main.by_reads[reads];
  }
  main = {.by_reads = {}, .retired = now};
}

void CoarseS3Fifo::StartEpoch(Epoch now) {
  while (Age(small_first_, now) > kMaxAge) RetireSmall(now);
  while (Age(main_first_, now) > kMaxAge) RetireMain(now);
  evicted_until_[now % kEpochsCount] = evicted_bytes_;
}

size_t CoarseS3Fifo::memory_bytes() const {
  return small_.capacity() * sizeof(Small) + main_.capacity() * sizeof(Main) +
         evicted_until_.capacity() * sizeof(int64_t);
}

uint8_t CoarseFrequency::FrequencyOf(const CoarseRecord& record, Epoch now) const {
  if (Age(record.last_read, now) > kMaxAge) return 0;
  const auto halvings =
      static_cast<uint8_t>(halvings_ - halvings_at_[record.last_read % kEpochsCount]);
  return halvings > 4 ? 0 : static_cast<uint8_t>(record.frequency >> halvings);
}

bool CoarseFrequency::Read(CoarseRecord* record, Epoch now) {
  const uint8_t before = FrequencyOf(*record, now);
  const auto after = std::min<uint8_t>(kMaxFrequency, before + 1);
  if (before > 0) bytes_[before] -= record->weight.bytes();
  bytes_[after] += record->weight.bytes();
  record->frequency = after;
  return IsIn(before, record->tag);
}

void CoarseFrequency::Count(const CoarseRecord& record, Epoch now, int sign) {
  if (const uint8_t frequency = FrequencyOf(record, now); frequency > 0)
    bytes_[frequency] += sign * record.weight.bytes();
}

void CoarseFrequency::Halve() {
  ++halvings_;
  for (size_t i = 0; i < bytes_.size(); ++i) {
    bytes_[i] = 2 * i < bytes_.size() ? bytes_[2 * i] + bytes_[2 * i + 1] : 0;
  }
  bytes_[0] = 0;
}

void CoarseFrequency::StartEpoch(Epoch now) {
  halvings_at_[now % kEpochsCount] = halvings_;
  int64_t left = max_bytes_;
  least_ = kMaxFrequency;
  while (least_ > 1 && bytes_[least_] <= left) left -= bytes_[least_--];
  const double part =
      bytes_[least_] > left ? static_cast<double>(left) / static_cast<double>(bytes_[least_]) : 1;
  least_part_ = static_cast<uint32_t>(part * UINT32_MAX);
}

}  // namespace slipstream::cache
