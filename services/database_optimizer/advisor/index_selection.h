// Which indexes to build: the set of candidates that lowers the cost of a workload most and fits a
// budget of bytes. A pure function of costs, sizes and budget: no database, clock or thread.
//
// The model is that of what-if optimizers (Chaudhuri and Narasayya, VLDB 1997; CoPhy, VLDB 2011): a
// query uses at most one combination of indexes, the cheapest of those whose indexes are all
// chosen. The search is described in README.md here, with where its parts come from.
//
// Deterministic: the same problem, budget and options give the same answer on every machine. It
// ends after SelectionOptions::max_work_count elementary steps, whatever the input.
//
// Thread safety: functions without shared state; call them from any thread. They compute for up to
// about a second, so never on a gRPC or runtime thread.
// Errors: INVALID_ARGUMENT INDEX_SELECTION_INVALID, which names what is wrong with the problem.
#ifndef SERVICES_DATABASE_OPTIMIZER_ADVISOR_INDEX_SELECTION_H_
#define SERVICES_DATABASE_OPTIMIZER_ADVISOR_INDEX_SELECTION_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace slipstream::database_optimizer {

inline constexpr absl::string_view kIndexSelectionInvalid = "INDEX_SELECTION_INVALID";

// More than these is refused.
inline constexpr int kMaxSelectionQueriesCount = 100'000;
inline constexpr int kMaxSelectionCandidatesCount = 100'000;
inline constexpr int kMaxSelectionCombinationsCount = 2'000'000;
inline constexpr int kMaxSelectionCostsCount = 10'000'000;
inline constexpr int kMaxIndexesPerCombinationCount = 6;

// Cost of `query` when it uses the indexes of `combination`. Pairs that are not given cannot be
// used, and a cost at or above the query's base cost never is.
struct CombinationCost {
  int query = 0;
  int combination = 0;
  double cost = 0;
};

// Queries, candidates and combinations are named by their place in these vectors. Costs have any
// unit, the same everywhere, and count a query as often as it runs.
struct SelectionProblem {
  std::vector<double> base_costs;   // per query, with no index
  std::vector<int64_t> size_bytes;  // per candidate
  // Per candidate, what the workload's writes cost more once it is there; empty: nothing.
  std::vector<double> write_costs;
  std::vector<std::vector<int>> combinations;  // the candidates of each; an empty one: no index
  std::vector<CombinationCost> costs;
};

struct SelectionOptions {
  // Looked-up costs and candidates, altogether; 40 million take some 0.5 s on a slow core.
  int64_t max_work_count = 40'000'000;
  uint64_t seed = 1;
  // A set that is known to fit (the indexes of today, the answer for a smaller budget), as ids of
  // candidates. The answer is never worse than it; ignored when it is over the budget.
  std::vector<int> known;
};

struct Selection {
  std::vector<int> chosen;  // candidates, ascending
  int64_t size_bytes = 0;   // of all of them
  double cost_before = 0;
  double cost_after = 0;                // of the queries and of the writes
  std::vector<double> query_costs;      // per query, after
  std::vector<int> query_combinations;  // per query, the one it uses; -1: none
  // No set within the budget costs less than this; equal to cost_after when `proved`.
  double cost_bound = 0;
  bool proved = false;  // cost_after is the least possible, up to rounding
  int64_t work_count = 0;
};

// Never over the budget; a budget of 0 or less chooses only indexes of size 0.
absl::StatusOr<Selection> SelectIndexes(const SelectionProblem& problem, int64_t budget_bytes,
                                        const SelectionOptions& options = {});

// One answer per budget, in their order. A larger budget never costs more: each search starts from
// the answer for the next smaller one too.
absl::StatusOr<std::vector<Selection>> SelectIndexesForBudgets(
    const SelectionProblem& problem, absl::Span<const int64_t> budgets_bytes,
    const SelectionOptions& options = {});

// The comparison: takes the candidate or combination with the most gain per byte until none fits.
absl::StatusOr<Selection> SelectIndexesByRatio(const SelectionProblem& problem,
                                               int64_t budget_bytes);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_ADVISOR_INDEX_SELECTION_H_
