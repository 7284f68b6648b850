// Latencies in buckets that grow by a constant factor: percentiles of any number of requests in a
// fixed 256 bytes. A percentile is off by at most a bucket's width, 26 %, and less in practice, as
// it is interpolated within its bucket.
//
// Thread safety: none.
#ifndef SERVICES_MONITORING_LATENCY_HISTOGRAM_H_
#define SERVICES_MONITORING_LATENCY_HISTOGRAM_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace slipstream::monitoring {

class LatencyHistogram {
 public:
  void Add(double milliseconds);
  void Merge(const LatencyHistogram& other);

  // `quantile` 0 to 1; 0 without values. Never above max_ms().
  double Quantile(double quantile) const;
  double max_ms() const { return max_ms_; }
  int64_t count() const { return count_; }

 private:
  // 0.05 ms times 2^(i/3): the last bucket begins at 105 s and has no end.
  static constexpr size_t kBucketsCount = 64;
  static size_t BucketOf(double milliseconds);
  static double UpperMs(size_t bucket);

  std::array<uint32_t, kBucketsCount> counts_ = {};
  int64_t count_ = 0;
  double max_ms_ = 0;
};

}  // namespace slipstream::monitoring

#endif  // SERVICES_MONITORING_LATENCY_HISTOGRAM_H_
