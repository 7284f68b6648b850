// The what-if matrix of a workload: what each statement would cost with which candidates, in the
// form that ../advisor/index_selection.h searches.
//
// Costs are in milliseconds of the time that was measured: total time of a statement times the
// planner's cost with an index divided by its cost without. So the planner only says how many times
// faster, and the measured time says how much that matters.
//
// Thread safety: as the connection. Errors: those of WhatIf.
#ifndef SERVICES_DATABASE_OPTIMIZER_WHATIF_COST_MATRIX_H_
#define SERVICES_DATABASE_OPTIMIZER_WHATIF_COST_MATRIX_H_

#include <functional>
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
  std::vector<IndexDefinition> candidates;  // those that help some statement
  int64_t explains_count = 0;
  bool cut_short = false;  // the time was over before all candidates were tried
};

class CostMatrixBuilder {
 public:
  // `time_over` is asked again and again; true ends the trying of further candidates.
  CostMatrixBuilder(WhatIf& what_if, const Catalog& catalog,
                    const std::vector<ExaminedStatement>& statements,
                    std::function<bool()> time_over);

  absl::StatusOr<CostMatrix> Build(const std::vector<IndexDefinition>& candidates);

 private:
  absl::Status TryAlone(const IndexDefinition& candidate);
  absl::Status TryTogether(size_t statement);
  absl::Status TrySet(size_t statement, const std::vector<int>& chosen);
  bool Concerns(const IndexDefinition& candidate, const StatementShape& shape) const;
  absl::StatusOr<double> MeanCost(const ExaminedStatement& statement);
  double ScaledCost(size_t statement, double cost) const;

  WhatIf& what_if_;
  const Catalog& catalog_;
  const std::vector<ExaminedStatement>& statements_;
  const std::function<bool()> time_over_;
  CostMatrix out_;
  std::vector<std::vector<std::pair<double, int>>> singles_;  // per statement: cost, candidate
};

// The size of an index on disk, in bytes. HypoPG's `estimate` has an entry a row; PostgreSQL (13
// and later) keeps equal keys once with a list of their rows, which is up to five times smaller.
int64_t SizeOnDisk(const IndexDefinition& index, const Catalog& catalog, int64_t estimate);

// What keeping an index up to date costs the workload's writes, in milliseconds: rows inserted, and
// rows updated, which lose their in-page (HOT) update when the index has a column that they set.
double WriteCostMs(const IndexDefinition& index, const Catalog& catalog,
                   const std::vector<ExaminedStatement>& statements);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WHATIF_COST_MATRIX_H_
