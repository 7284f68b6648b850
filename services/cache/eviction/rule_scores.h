// Which of several eviction rules has had the most hits lately, and how much each one's vote
// counts.
//
// Thread safety: none.
#ifndef SERVICES_CACHE_EVICTION_RULE_SCORES_H_
#define SERVICES_CACHE_EVICTION_RULE_SCORES_H_

#include <array>
#include <cstddef>
#include <optional>
#include <utility>

#include "absl/types/span.h"
#include "services/cache/eviction/vote_queues.h"

namespace slipstream::cache {

class RuleScores {
 public:
  // Two rules that hold different parts of a loop, each ahead when its own part has just come by.
  using Twins = std::pair<size_t, size_t>;

  // A rule that is behind by `tolerance` hits a read has 1/e of the votes' weight. REQUIRES: at
  // most VoteQueues::kMaxRulesCount rules. In doubt the earlier one is the best.
  RuleScores(size_t rules_count, double tolerance, std::optional<Twins> twins = std::nullopt)
      : rules_count_(rules_count), tolerance_(tolerance), twins_(twins) {}

  // A read: which rules would have had it, bit per rule.
  void Count(VoteQueues::Votes hits);
  // True when it is time to Judge again.
  bool due() const { return reads_until_due_ == 0; }
  // `entries_count` is what a cache under one of the rules holds.
  void Judge(size_t entries_count);

  size_t best() const { return best_; }
  absl::Span<const double> weights() const { return {weights_.data(), rules_count_}; }

 private:
  static constexpr size_t kMax = VoteQueues::kMaxRulesCount;

  const size_t rules_count_;
  const double tolerance_;
  const std::optional<Twins> twins_;
  std::array<double, kMax> hits_{};  // lately: older ones count less
  std::array<double, kMax> weights_{};
  double reads_ = 0;
  size_t best_ = 0;
  size_t reads_until_due_ = 0;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_EVICTION_RULE_SCORES_H_
