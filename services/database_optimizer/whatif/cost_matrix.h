// The what-if matrix of a workload: what each statement would cost with which candidates, in the
// form that ../advisor/index_selection.h searches.
//
// Costs are in milliseconds: what was measured as things are, and what follows from that and the
// two plans with an index (plan_parts.h). So statements of different kinds compare by their time.
//
// Thread safety: as the connection. Errors: those of WhatIf.
#ifndef SERVICES_DATABASE_OPTIMIZER_WHATIF_COST_MATRIX_H_
#define SERVICES_DATABASE_OPTIMIZER_WHATIF_COST_MATRIX_H_

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/database_optimizer/advisor/index_selection.h"
#include "services/database_optimizer/candidates/candidate_builder.h"
#include "services/database_optimizer/whatif/what_if.h"
#include "services/database_optimizer/whatif/workload_reader.h"

namespace slipstream::database_optimizer {

// A statement of the workload that could be read and planned.
struct ExaminedStatement {
  WorkloadStatement source;
  StatementShape shape;
  PlannedStatement planned;
  std::vector<Plan> plans;  // as things are, one per sample
  double cost = 0;          // mean of them
};

struct CostMatrix {
  SelectionProblem problem;                 // a query per statement, in their order
  std::vector<double> planner_costs;        // per run; of each of problem.costs, which each have a
                                            // combination of their own
  std::vector<IndexDefinition> candidates;  // those that help some statement
  bool cut_short = false;                   // the time was over before all candidates were tried
};

class CostMatrixBuilder {
 public:
  // `time_over` is asked again and again; true ends the trying of further candidates.
  CostMatrixBuilder(WhatIf& what_if, const Catalog& catalog,
                    const std::vector<ExaminedStatement>& statements,
                    std::function<bool()> time_over);

  absl::Status Build(const std::vector<IndexDefinition>& candidates);
  // Asks the planner what each statement does with all of `chosen` at once; what it uses together
  // and was not tried yet is added. False: nothing was new.
  absl::StatusOr<bool> TryChosen(const std::vector<int>& chosen);

  const CostMatrix& matrix() const { return out_; }

 private:
  // What a statement's samples come to with some indexes.
  struct Estimate {
    double cost = 0;      // mean, in the planner's units
    double total_ms = 0;  // of all its runs
  };
  struct Single {
    Estimate estimate;
    int candidate = 0;
    auto Order() const { return std::pair(estimate.total_ms, candidate); }
  };

  // The plans of all samples, when one of the first and the last uses the hypothetical index of
  // this mark; else none.
  absl::StatusOr<std::vector<Plan>> PlansThatUse(const PlannedStatement& statement,
                                                 const std::string& mark);
  absl::Status TryAlone(const IndexDefinition& candidate);
  absl::Status TryTogether(size_t statement);
  // Every pair, all but one, and all.
  absl::Status TryPartsOf(size_t statement, const std::vector<int>& all);
  absl::Status TrySet(size_t statement, const std::vector<int>& chosen);
  // Adds them as hypothetical indexes, the only ones; their marks.
  absl::StatusOr<std::vector<std::pair<std::string, int>>> AddAll(const std::vector<int>& chosen);
  absl::StatusOr<double> RowsOf(const IndexDefinition& candidate, const TableInfo& table);
  bool Concerns(const IndexDefinition& candidate, const StatementShape& shape) const;
  Estimate EstimateOf(const ExaminedStatement& statement, const std::vector<Plan>& plans) const;
  void Add(size_t statement, std::vector<int> members, const Estimate& estimate);
  // Of each table the best of the statement's singles, or the one that gains most for its size.
  std::vector<int> BestOfEachTable(size_t statement, bool by_size) const;

  WhatIf& what_if_;
  const Catalog& catalog_;
  const std::vector<ExaminedStatement>& statements_;
  const std::function<bool()> time_over_;
  double unit_ms_ = 0;  // what a unit of the planner's cost takes in the workload's middle
  CostMatrix out_;
  std::vector<std::vector<Single>> singles_;       // per statement, the fastest first
  std::vector<std::set<std::vector<int>>> tried_;  // per statement: sets of two or more
  std::map<std::pair<std::string, std::string>, double> condition_rows_;  // by table, condition
};

// What keeping an index up to date costs the workload's writes, in milliseconds: rows inserted, and
// rows updated, which lose their in-page (HOT) update when the index has a column that they set.
double WriteCostMs(const IndexDefinition& index, const Catalog& catalog,
                   const std::vector<ExaminedStatement>& statements);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WHATIF_COST_MATRIX_H_
