// Reads a what-if matrix in the text form of hyrise/index_selection_evaluation (AMPL data): which
// queries there are, the size of each candidate index, the candidates of each combination, and what
// each query costs with each of them.
//
//   set QUERIES := 1 3 4;
//   param NUMBER_OF_INDEXES := 2;               (other params are passed over)
//   param size := 1 39182336 # ['c_custkey'] ... ;
//   set indexes_per_combination[0]:= ;          (combination 0: no index)
//   set indexes_per_combination[1]:= 1 2;
//   param costs := 1 0 8192.5 ... ;             (query, combination, cost)
//
// `#` begins a comment, to the end of the line; that of a size is the index's name. Costs of
// queries outside QUERIES are passed over.
//
// Thread safety: a pure function. Errors: INVALID_ARGUMENT WHAT_IF_MATRIX_INVALID with the line.
#ifndef SERVICES_DATABASE_OPTIMIZER_ADVISOR_WHAT_IF_MATRIX_H_
#define SERVICES_DATABASE_OPTIMIZER_ADVISOR_WHAT_IF_MATRIX_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/database_optimizer/advisor/index_selection.h"

namespace slipstream::database_optimizer {

inline constexpr absl::string_view kWhatIfMatrixInvalid = "WHAT_IF_MATRIX_INVALID";

struct WhatIfMatrix {
  SelectionProblem problem;
  std::vector<int> query_ids;            // as the file numbers them
  std::vector<int> candidate_ids;        // the same
  std::vector<std::string> index_names;  // "l_orderkey, l_partkey"; its number without a comment
};

absl::StatusOr<WhatIfMatrix> ParseWhatIfMatrix(absl::string_view text);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_ADVISOR_WHAT_IF_MATRIX_H_
