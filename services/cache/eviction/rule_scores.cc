#include "services/cache/eviction/rule_scores.h"

#include <algorithm>
#include <cmath>

namespace slipstream::cache {

namespace {

// Hits are counted over about so many reads, in multiples of the entries: long enough for a loop
// that is larger than the cache to come round, short enough to follow a change.
constexpr double kHorizonEntries = 10;
constexpr double kMinHorizonReads = 1000;
// Between two looks at the scores: a part of the entries, but not for every read.
constexpr size_t kLooksPerEntries = 8;
constexpr size_t kMinReadsBetweenLooks = 32;
// What the first rule and the one that is best already have in advance, in square roots of the
// entries: differences below it are chance.
constexpr double kLead = 1;
// Beside what is tolerated for each read: a hit or two are chance.
constexpr double kTolerableHits = 2;
// So that twins do not take turns, in which each would miss what the other has let go, a twin must
// be ahead by so many hits, as a part of the entries.
constexpr double kTwinLeadEntries = 0.3;
constexpr double kLeastWeight = 1e-9;

}  // namespace

void RuleScores::Count(VoteQueues::Votes hits) {
  for (size_t i = 0; i < rules_count_; ++i) hits_[i] += hits >> i & 1;
  reads_ += 1;
  if (reads_until_due_ > 0) --reads_until_due_;
}

void RuleScores::Judge(size_t entries_count) {
  const auto entries = static_cast<double>(entries_count);
  auto hits = hits_;
  hits[0] += kLead * std::sqrt(entries);
  hits[best_] += kLead * std::sqrt(entries);
  if (twins_.has_value() && (best_ == twins_->first || best_ == twins_->second)) {
    double& twin = hits[best_ == twins_->first ? twins_->second : twins_->first];
    // Just behind, not level.
    if (twin < hits[best_] + kTwinLeadEntries * entries) twin = std::min(twin, hits[best_] - 1);
  }
  const auto end = hits.begin() + static_cast<std::ptrdiff_t>(rules_count_);
  const auto best = std::max_element(hits.begin(), end);
  best_ = static_cast<size_t>(best - hits.begin());
  const double scale = kTolerableHits + tolerance_ * reads_;
  for (size_t i = 0; i < rules_count_; ++i) {
    weights_[i] = std::exp((hits[i] - *best) / scale) + kLeastWeight;
  }
  reads_until_due_ = std::max(kMinReadsBetweenLooks, entries_count / kLooksPerEntries);
  const double horizon = std::max(kMinHorizonReads, kHorizonEntries * entries);
  const double kept = std::max(0.0, 1 - static_cast<double>(reads_until_due_) / horizon);
  for (auto& one : hits_) one *= kept;
  reads_ *= kept;
}

}  // namespace slipstream::cache
