// A set of chosen candidates and what it is worth, changed one candidate at a time.
//
// Invariant: each query stands at the first way of its list whose indexes are all chosen, so what a
// change does is found without looking at the other queries.
//
// Thread safety: one thread at a time. Nothing fails.
#ifndef SERVICES_DATABASE_OPTIMIZER_ADVISOR_SELECTION_STATE_H_
#define SERVICES_DATABASE_OPTIMIZER_ADVISOR_SELECTION_STATE_H_

#include <cstdint>
#include <vector>

#include "services/database_optimizer/advisor/selection_table.h"

namespace slipstream::database_optimizer {

class SelectionState {
 public:
  // Empty. `table` outlives this; each looked-up cost is added to `work_count`.
  SelectionState(const SelectionTable& table, int64_t& work_count);

  const SelectionTable& table() const { return table_; }
  bool Has(int candidate) const { return has_[candidate]; }
  // In the order of their adding, except that Remove puts the last into the gap.
  const std::vector<int>& chosen() const { return chosen_; }
  int64_t size_bytes() const { return size_bytes_; }
  bool Fits(int64_t more_bytes) const { return size_bytes_ + more_bytes <= table_.budget_bytes; }
  // What the queries gain less what the writes cost.
  double value() const { return value_; }
  // The way that a query uses; null when none.
  const SelectionTable::Way* Used(int query) const {
    const auto ways = table_.Ways(query);
    return rank_[query] < static_cast<int>(ways.size()) ? &ways[rank_[query]] : nullptr;
  }
  double Benefit(int query) const { return BenefitOf(query, rank_[query]); }

  // What Add of a candidate that is not there would add to value().
  double Gain(int candidate) const;
  // The candidates of a combination that are not there.
  void Missing(int combination, std::vector<int>& out) const;
  int MissingCount(int combination) const { return missing_[combination]; }
  // What a combination would add by itself if all of it were there; never negative.
  double OwnGain(int combination) const;

  void Add(int candidate);
  void Remove(int candidate);
  // Replaces the whole set.
  void Become(const std::vector<int>& chosen);

  int64_t& work_count() const { return work_count_; }

 private:
  double BenefitOf(int query, int rank) const {
    const auto range = table_.queries[query];
    return range.begin + rank < range.end ? table_.ways[range.begin + rank].benefit : 0;
  }

  const SelectionTable& table_;
  int64_t& work_count_;
  std::vector<char> has_;
  std::vector<int> chosen_;
  std::vector<uint8_t> missing_;  // per combination, how many of its candidates are not there
  std::vector<int> rank_;         // per query
  int64_t size_bytes_ = 0;
  double value_ = 0;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_ADVISOR_SELECTION_STATE_H_
