// What is counted: for the node, for one user, for one tenant.
//
// Thread safety: plain values; the engine's lock guards them.
#ifndef SERVICES_NOTIFICATION_FIGURES_H_
#define SERVICES_NOTIFICATION_FIGURES_H_

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "absl/time/time.h"
#include "services/notification/close_reason.h"
#include "services/notification/event.h"

namespace slipstream::notification {

// Counts since the node's start.
struct Figures {
  std::array<int64_t, kEventTypeCount> published{};
  std::array<int64_t, kCloseReasonCount> closes{};
  int64_t delivered_count = 0;
  int64_t conflated_count = 0;
  int64_t delayed_count = 0;  // by the rate limit
  int64_t duplicates_count = 0;
  int64_t recovered_count = 0;
  int64_t not_recovered_count = 0;
};

// Latencies in buckets that grow by the factor sqrt(2) from 1 us to about 50 min; a quantile is the
// upper bound of its bucket, so at most 42 % too high.
class LatencyHistogram {
 public:
  void Add(absl::Duration latency) {
    const double us = absl::ToDoubleMicroseconds(latency);
    const int bucket = us <= 1 ? 0 : static_cast<int>(std::ceil(2 * std::log2(us)));
    ++counts_[static_cast<size_t>(std::min(bucket, kBucketCount - 1))];
    ++total_;
  }
  // `share` is 0 to 1. Zero when nothing was added.
  absl::Duration Quantile(double share) const {
    int64_t wanted = static_cast<int64_t>(std::ceil(share * static_cast<double>(total_)));
    for (int i = 0; i < kBucketCount && total_ > 0; ++i) {
      wanted -= counts_[static_cast<size_t>(i)];
      if (wanted <= 0) return absl::Microseconds(std::exp2(i / 2.0));
    }
    return absl::ZeroDuration();
  }

 private:
  static constexpr int kBucketCount = 64;
  std::array<int64_t, kBucketCount> counts_{};
  int64_t total_ = 0;
};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_FIGURES_H_
