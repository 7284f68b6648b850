#include "services/database_optimizer/watch/lag_clock.h"

#include <algorithm>
#include <utility>

namespace slipstream::database_optimizer {

void LagClock::Add(int64_t lsn, absl::Duration now) {
  sync::MutexLock lock(mutex_);
  if (!samples_.empty() && lsn < samples_.back().lsn - kNewLogBytes) samples_.clear();
  if (!samples_.empty() && lsn <= samples_.back().lsn) return;
  if (samples_.size() >= kMaxSamplesCount) ThinOut(now);
  samples_.push_back({lsn, now});
}

// Two neighbours of age a are at least a / 32 apart afterwards: a few hundred from a millisecond to
// a day.
void LagClock::ThinOut(absl::Duration now) {
  constexpr int kGapShare = 32;
  std::vector<Sample> kept;
  for (auto sample = samples_.rbegin(); sample != samples_.rend(); ++sample) {
    const absl::Duration age = now - sample->at;
    if (age > kMaxAge) break;
    if (kept.empty() || kept.back().at - sample->at >= age / kGapShare) kept.push_back(*sample);
  }
  // However short the times are, there is room afterwards.
  if (kept.size() > kMaxSamplesCount / 2) kept.resize(kMaxSamplesCount / 2);
  std::reverse(kept.begin(), kept.end());
  samples_ = std::move(kept);
}

absl::Duration LagClock::Estimate(int64_t replayed_lsn, absl::Duration now) const {
  sync::MutexLock lock(mutex_);
  const auto beyond =
      std::upper_bound(samples_.begin(), samples_.end(), replayed_lsn,
                       [](int64_t lsn, const Sample& sample) { return lsn < sample.lsn; });
  if (beyond == samples_.end()) return absl::ZeroDuration();
  return std::max(now - beyond->at, absl::ZeroDuration());
}

}  // namespace slipstream::database_optimizer
