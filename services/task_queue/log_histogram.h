// LogHistogram: times in buckets of equal ratio, so that those of many servers add up.
//
// Bucket n holds times up to 0.05 ms * 2^(n / 8), the last one all above: 50 us to 2 days, each
// value known to 9 %. (HdrHistogram's idea with fixed bounds.)
//
// Thread safety: a plain value.
#ifndef SERVICES_TASK_QUEUE_LOG_HISTOGRAM_H_
#define SERVICES_TASK_QUEUE_LOG_HISTOGRAM_H_

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "absl/time/time.h"

namespace slipstream::task_queue {

// Milliseconds.
struct Distribution {
  int64_t count = 0;
  double p50_ms = 0, p95_ms = 0, p99_ms = 0, max_ms = 0;
};

class LogHistogram {
 public:
  static constexpr int kBucketsCount = 256;

  void Add(absl::Duration time) {
    const double ms = std::max(0.0, absl::ToDoubleMilliseconds(time));
    ++counts_[static_cast<size_t>(BucketOf(ms))];
    max_ms_ = std::max(max_ms_, ms);
  }
  void Add(int bucket, int64_t count) {
    counts_[static_cast<size_t>(std::clamp(bucket, 0, kBucketsCount - 1))] += count;
  }
  void NoteMax(double ms) { max_ms_ = std::max(max_ms_, ms); }
  void Add(const LogHistogram& other) {
    for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    max_ms_ = std::max(max_ms_, other.max_ms_);
  }

  const std::array<int64_t, kBucketsCount>& counts() const { return counts_; }
  double max_ms() const { return max_ms_; }

  // Percentiles by the nearest rank: the bound of the bucket that holds it.
  Distribution Read() const {
    Distribution out;
    for (const int64_t count : counts_) out.count += count;
    out.p50_ms = Rank(0.5, out.count);
    out.p95_ms = Rank(0.95, out.count);
    out.p99_ms = Rank(0.99, out.count);
    out.max_ms = max_ms_;
    return out;
  }

 private:
  static constexpr double kFirstMs = 0.05;
  static constexpr double kPerOctave = 8;

  static int BucketOf(double ms) {
    if (ms <= kFirstMs) return 0;
    const double bucket = std::ceil(std::log2(ms / kFirstMs) * kPerOctave);
    return static_cast<int>(std::min<double>(bucket, kBucketsCount - 1));
  }
  double Rank(double part, int64_t total) const {
    if (total == 0) return 0;
    const auto rank = static_cast<int64_t>(std::ceil(part * static_cast<double>(total)));
    int64_t below = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      below += counts_[i];
      if (below < rank) continue;
      return std::min(max_ms_, kFirstMs * std::exp2(static_cast<double>(i) / kPerOctave));
    }
    return max_ms_;
  }

  std::array<int64_t, kBucketsCount> counts_ = {};
  double max_ms_ = 0;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_LOG_HISTOGRAM_H_
