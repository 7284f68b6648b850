// Which indexes a database should have: reads its workload and catalog, asks the planner what each
// candidate would do, and searches for the best set within a budget.
//
// Changes nothing: a read-only connection suffices. Blocks for seconds up to the time it is given,
// on the calling thread, so never on a gRPC or runtime thread.
//
// Thread safety: as the connection.
// Errors: FAILED_PRECONDITION HYPOPG_MISSING, STATEMENTS_NOT_COUNTED; INVALID_ARGUMENT
// INVALID_FIELD for a table that does not exist; those of postgres::Connection.
#ifndef SERVICES_DATABASE_OPTIMIZER_WHATIF_INDEX_ADVISOR_H_
#define SERVICES_DATABASE_OPTIMIZER_WHATIF_INDEX_ADVISOR_H_

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/clock/clock.h"
#include "services/database_optimizer/whatif/cost_matrix.h"
#include "slipstream/database_optimizer/v1/database_optimizer.pb.h"

namespace slipstream::database_optimizer {

struct AdvisorOptions {
  int max_statements_count = 200;
  int max_index_columns_count = 4;
  double min_gain_percent = 1;
  std::string index_prefix = "slipstream_ix_";
  std::optional<int64_t> budget_bytes;  // none: a tenth of the database
  std::vector<std::string> tables;      // with or without schema; empty: all
  std::set<std::string> barred_names;   // indexes that were tried and taken back
  absl::Time deadline = absl::InfiniteFuture();
};

// A recommendation before it is stored: it has no id and no times yet.
struct Proposal {
  v1::Recommendation recommendation;
  std::string object;                    // what it is about; one proposal per kind and object
  double gain_percent = 0;               // of the workload's time
  std::string index_schema, index_name;  // of the index that is made or dropped; else empty
};

struct Advice {
  std::vector<Proposal> proposals;         // the greatest gain first
  double cost_before = 0, cost_after = 0;  // of the workload, in the planner's units
  v1::Examined examined;
  std::vector<std::string> gaps;  // what could not be examined, and why
  // For what follows: the same reading serves the checks of ../whatif/health_checks.h.
  Catalog catalog;
  std::vector<ExaminedStatement> statements;
  int64_t database_bytes = 0;
};

absl::StatusOr<Advice> AdviseIndexes(postgres::Connection& connection, const clock::Clock& clock,
                                     const AdvisorOptions& options);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WHATIF_INDEX_ADVISOR_H_
