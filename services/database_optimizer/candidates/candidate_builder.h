// Which indexes could help a workload: candidates for the search, not yet judged.
//
// Per statement and table: each column that is compared, joined, sorted or grouped by; orders of
// several of them (equal ones first, then one range; then what is sorted by); partial ones on
// conditions without a value (`deleted_at IS NULL`, `NOT done`, a constant that the statement
// shows); and, where a statement runs again and again, ones that include all it reads of the table.
//
// Thread safety: pure. Nothing fails.
#ifndef SERVICES_DATABASE_OPTIMIZER_CANDIDATES_CANDIDATE_BUILDER_H_
#define SERVICES_DATABASE_OPTIMIZER_CANDIDATES_CANDIDATE_BUILDER_H_

#include <vector>

#include "services/database_optimizer/candidates/index_definition.h"
#include "services/database_optimizer/candidates/statement_shape.h"

namespace slipstream::database_optimizer {

struct CandidateOptions {
  int max_columns_count = 4;
  int max_per_relation_count = 60;
  int max_count = 1500;  // the first statements' come first
  // Runs from which a statement is worth an index that holds all it reads, or a part of the rows.
  int64_t repeated_calls_count = 2;
  int max_include_columns_count = 8;
};

struct CountedStatement {
  const StatementShape* shape;
  int64_t calls_count = 0;
};

// Statements by weight, the heaviest first. No candidate is one that an index of the catalog serves
// already, and none is there twice.
std::vector<IndexDefinition> BuildCandidates(const std::vector<CountedStatement>& statements,
                                             const Catalog& catalog,
                                             const CandidateOptions& options);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_CANDIDATES_CANDIDATE_BUILDER_H_
