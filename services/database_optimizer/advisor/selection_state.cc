#include "services/database_optimizer/advisor/selection_state.h"

#include <algorithm>

namespace slipstream::database_optimizer {

SelectionState::SelectionState(const SelectionTable& table, int64_t& work_count)
    : table_(table), work_count_(work_count), has_(table.candidates.size(), false) {
  for (int c = 0; c < table.combinations_count(); ++c) {
    missing_.push_back(static_cast<uint8_t>(table.Members(c).size()));
  }
  for (const auto& range : table.queries) rank_.push_back(range.end - range.begin);
}

double SelectionState::Gain(int candidate) const {
  double gain = -table_.candidates[candidate].write_cost;
  for (const auto& part : table_.PartsOf(candidate)) {
    ++work_count_;
    const int now = rank_[part.query];
    for (const auto& place : table_.Places(part)) {
      if (place.rank >= now) break;
      ++work_count_;
      if (missing_[place.combination] == 1) {
        gain += BenefitOf(part.query, place.rank) - BenefitOf(part.query, now);
        break;
      }
    }
  }
  return gain;
}

void SelectionState::Missing(int combination, std::vector<int>& out) const {
  out.clear();
  for (int member : table_.Members(combination)) {
    if (!has_[member]) out.push_back(member);
  }
}

double SelectionState::OwnGain(int combination) const {
  double gain = 0;
  for (const auto& use : table_.Uses(combination)) {
    ++work_count_;
    if (use.rank < rank_[use.query]) gain += BenefitOf(use.query, use.rank) - Benefit(use.query);
  }
  return gain;
}

void SelectionState::Add(int candidate) {
  const auto& added = table_.candidates[candidate];
  has_[candidate] = true;
  chosen_.push_back(candidate);
  size_bytes_ += added.size_bytes;
  value_ -= added.write_cost;
  for (int combination : table_.CombinationsOf(candidate)) --missing_[combination];
  work_count_ += static_cast<int64_t>(table_.CombinationsOf(candidate).size());
  for (const auto& part : table_.PartsOf(candidate)) {
    ++work_count_;
    const int now = rank_[part.query];
    for (const auto& place : table_.Places(part)) {
      if (place.rank >= now) break;
      ++work_count_;
      if (missing_[place.combination] == 0) {
        value_ += BenefitOf(part.query, place.rank) - BenefitOf(part.query, now);
        rank_[part.query] = place.rank;
        break;
      }
    }
  }
}

void SelectionState::Remove(int candidate) {
  const auto& removed = table_.candidates[candidate];
  has_[candidate] = false;
  *std::find(chosen_.begin(), chosen_.end(), candidate) = chosen_.back();
  chosen_.pop_back();
  size_bytes_ -= removed.size_bytes;
  value_ += removed.write_cost;
  for (int combination : table_.CombinationsOf(candidate)) ++missing_[combination];
  work_count_ += static_cast<int64_t>(table_.CombinationsOf(candidate).size());
  for (const auto& part : table_.PartsOf(candidate)) {
    ++work_count_;
    const auto ways = table_.Ways(part.query);
    const int now = rank_[part.query];
    const int end = static_cast<int>(ways.size());
    int next = now;
    while (next < end && missing_[ways[next].combination] > 0) ++next;
    work_count_ += next - now;
    value_ += BenefitOf(part.query, next) - BenefitOf(part.query, now);
    rank_[part.query] = next;
  }
}

void SelectionState::Become(const std::vector<int>& chosen) {
  const std::vector<int> before = chosen_;
  for (int candidate : before) {
    if (std::find(chosen.begin(), chosen.end(), candidate) == chosen.end()) Remove(candidate);
  }
  for (int candidate : chosen) {
    if (!has_[candidate]) Add(candidate);
  }
}

}  // namespace slipstream::database_optimizer
