#include "services/monitoring/latency_histogram.h"

#include <algorithm>
#include <cmath>

namespace slipstream::monitoring {

namespace {
constexpr double kSmallestMs = 0.05;
constexpr double kStepsPerDoubling = 3;
}  // namespace

size_t LatencyHistogram::BucketOf(double milliseconds) {
  if (!(milliseconds > kSmallestMs)) return 0;
  const double step = std::ceil(kStepsPerDoubling * std::log2(milliseconds / kSmallestMs));
  return static_cast<size_t>(std::clamp(step, 0.0, static_cast<double>(kBucketsCount - 1)));
}

double LatencyHistogram::UpperMs(size_t bucket) {
  return kSmallestMs * std::exp2(static_cast<double>(bucket) / kStepsPerDoubling);
}

void LatencyHistogram::Add(double milliseconds) {
  ++counts_[BucketOf(milliseconds)];
  ++count_;
  max_ms_ = std::max(max_ms_, milliseconds);
}

void LatencyHistogram::Merge(const LatencyHistogram& other) {
  for (size_t i = 0; i < kBucketsCount; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  max_ms_ = std::max(max_ms_, other.max_ms_);
}

double LatencyHistogram::Quantile(double quantile) const {
  if (count_ == 0) return 0;
  const double rank = std::clamp(quantile, 0.0, 1.0) * static_cast<double>(count_);
  double below = 0;
  for (size_t i = 0; i < kBucketsCount; ++i) {
    if (counts_[i] == 0 || below + counts_[i] < rank) {
      below += counts_[i];
      continue;
    }
    const double lower = i == 0 ? 0 : UpperMs(i - 1);
    const double upper = std::min(UpperMs(i), max_ms_);
    if (i == kBucketsCount - 1) return max_ms_;
    return std::min(lower + (upper - lower) * (rank - below) / counts_[i], max_ms_);
  }
  return max_ms_;
}

}  // namespace slipstream::monitoring
