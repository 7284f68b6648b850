#include "services/database_optimizer/advisor/index_selection.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "libs/random/random.h"
#include "services/database_optimizer/advisor/selection_bound.h"
#include "services/database_optimizer/advisor/selection_search.h"
#include "services/database_optimizer/advisor/selection_table.h"

namespace slipstream::database_optimizer {

namespace {

// Where each phase ends, as a share of the work.
constexpr double kFirstSearchShare = 0.2;
constexpr double kFirstBoundShare = 0.4;
constexpr double kCoreSearchShare = 0.65;
constexpr double kProofShare = 0.85;
constexpr int kRootStepsCount = 1000;
constexpr int kShakesCount = 200;
constexpr size_t kCoreCandidatesCount = 150;

std::vector<int> ToIds(const SelectionTable& table, const std::vector<int>& chosen) {
  std::vector<int> ids;
  for (int candidate : chosen) ids.push_back(table.candidates[candidate].id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

// Those of `ids` that the table still has.
std::vector<int> FromIds(const SelectionTable& table, const std::vector<int>& ids) {
  std::vector<int> chosen;
  for (int i = 0; i < static_cast<int>(table.candidates.size()); ++i) {
    if (std::binary_search(ids.begin(), ids.end(), table.candidates[i].id)) chosen.push_back(i);
  }
  return chosen;
}

int64_t BytesOf(const SelectionTable& table, const std::vector<int>& chosen) {
  int64_t bytes = 0;
  for (int candidate : chosen) bytes += table.candidates[candidate].size_bytes;
  return bytes;
}

// The answer for a set, computed anew so that no rounding of the search is in it.
Selection Describe(const SelectionTable& table, const std::vector<int>& chosen,
                   const SelectionProblem& problem, int64_t& work_count) {
  SelectionState state(table, work_count);
  state.Become(chosen);
  Selection out;
  out.chosen = ToIds(table, chosen);
  out.size_bytes = state.size_bytes();
  out.cost_before = table.base_cost;
  for (int candidate : chosen) out.cost_after += table.candidates[candidate].write_cost;
  for (int q = 0; q < static_cast<int>(table.queries.size()); ++q) {
    const auto* way = state.Used(q);
    out.query_costs.push_back(problem.base_costs[q] - state.Benefit(q));
    out.query_combinations.push_back(way == nullptr ? -1 : table.combinations[way->combination].id);
    out.cost_after += out.query_costs.back();
  }
  return out;
}

class Solver {
 public:
  Solver(const SelectionTable& table, const SelectionOptions& options)
      : table_(table), options_(options), random_(options.seed) {}

  void Run() {
    FirstSearch();
    SelectionBound first(table_, best_, work_count_);
    bound_ = first.Root(kRootStepsCount, Limit(kFirstBoundShare));
    Take(table_, first.best());
    if (bound_ > best_value_) {
      SearchCore(Reduced(first.Core(kCoreCandidatesCount)), ToIds(table_, first.Favoured()));
    }
    Finish(Reduced(first.Open()));
  }

  const std::vector<int>& best() const { return best_; }
  double bound() const { return bound_; }
  bool proved() const { return proved_; }
  int64_t work_count() const { return work_count_; }

 private:
  int64_t Limit(double share) const {
    return static_cast<int64_t>(share * static_cast<double>(options_.max_work_count));
  }

  void FirstSearch() {
    SelectionSearch search(table_, random_, work_count_);
    const int64_t limit = Limit(kFirstSearchShare);
    Take(table_, search.BestFill(limit));
    std::vector<int> known = options_.known;
    std::sort(known.begin(), known.end());
    known = FromIds(table_, known);
    if (BytesOf(table_, known) <= table_.budget_bytes) Take(table_, known);
  }

  // What cannot be in a better set is gone; the best one known stays possible.
  SelectionTable Reduced(std::vector<bool> keep) const {
    for (int candidate : best_) keep[candidate] = true;
    return table_.Without(keep);
  }

  std::vector<int> Best(const SelectionTable& reduced) const {
    return FromIds(reduced, ToIds(table_, best_));
  }

  // The best set is nearly always made of the few candidates that the prices favour.
  void SearchCore(const SelectionTable& core, const std::vector<int>& favoured_ids) {
    SelectionSearch search(core, random_, work_count_);
    Take(core, search.Improve(FromIds(core, favoured_ids), SelectionSearch::Depth::kQuick,
                              Limit(kFirstBoundShare + 0.1)));
    Take(core, search.Shake(Best(core), kShakesCount, Limit(kCoreSearchShare)));
  }

  void Finish(const SelectionTable& open) {
    SelectionSearch search(open, random_, work_count_);
    SelectionBound proof(open, Best(open), work_count_);
    bound_ = std::min(bound_, proof.Root(kRootStepsCount, Limit(kProofShare)));
    proved_ = proof.Prove(Limit(kProofShare));
    Take(open, proof.best());
    if (proved_) return;
    Take(open, search.Shake(Best(open), std::numeric_limits<int>::max(), Limit(1)));
  }

  // Makes `chosen` of `from`, a reduction of table_, the best set if it is one.
  void Take(const SelectionTable& from, const std::vector<int>& chosen) {
    const std::vector<int> here = FromIds(table_, ToIds(from, chosen));
    SelectionState state(table_, work_count_);
    state.Become(here);
    if (state.value() > best_value_) {
      best_value_ = state.value();
      best_ = here;
    }
  }

  const SelectionTable& table_;
  const SelectionOptions& options_;
  random::SeededRandom random_;
  int64_t work_count_ = 0;
  std::vector<int> best_;
  double best_value_ = 0;  // of the empty set
  double bound_ = 0;
  bool proved_ = false;
};

}  // namespace

absl::StatusOr<Selection> SelectIndexes(const SelectionProblem& problem, int64_t budget_bytes,
                                        const SelectionOptions& options) {
  auto table = SelectionTable::Build(problem, budget_bytes);
  if (!table.ok()) return table.status();
  Solver solver(*table, options);
  solver.Run();
  int64_t work_count = solver.work_count();
  Selection out = Describe(*table, solver.best(), problem, work_count);
  out.proved = solver.proved();
  out.cost_bound =
      out.proved ? out.cost_after : std::min(table->base_cost - solver.bound(), out.cost_after);
  out.work_count = work_count;
  return out;
}

absl::StatusOr<std::vector<Selection>> SelectIndexesForBudgets(
    const SelectionProblem& problem, absl::Span<const int64_t> budgets_bytes,
    const SelectionOptions& options) {
  std::vector<size_t> order(budgets_bytes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(budgets_bytes[a], a) < std::pair(budgets_bytes[b], b);
  });
  std::vector<Selection> out(budgets_bytes.size());
  SelectionOptions with_known = options;
  for (size_t place : order) {
    auto selection = SelectIndexes(problem, budgets_bytes[place], with_known);
    if (!selection.ok()) return selection.status();
    with_known.known = selection->chosen;
    out[place] = *std::move(selection);
  }
  return out;
}

absl::StatusOr<Selection> SelectIndexesByRatio(const SelectionProblem& problem,
                                               int64_t budget_bytes) {
  auto table = SelectionTable::Build(problem, budget_bytes);
  if (!table.ok()) return table.status();
  int64_t work_count = 0;
  random::SeededRandom unused(0);
  SelectionSearch search(*table, unused, work_count);
  const auto chosen = search.Fill(1.0, std::numeric_limits<int64_t>::max());
  Selection out = Describe(*table, chosen, problem, work_count);
  out.work_count = work_count;
  return out;
}

}  // namespace slipstream::database_optimizer
