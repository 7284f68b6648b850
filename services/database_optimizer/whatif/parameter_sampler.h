// Values in the place of $1, $2, ...: the planner's answer depends on them, and pg_stat_statements
// has replaced them. They are drawn from the statistics of the column that each is compared with.
//
// The same statement, sample and statistics give the same text. Values are always quoted.
//
// Thread safety: pure. Nothing fails; what nothing is known of gets a plain value, which the server
// may refuse.
#ifndef SERVICES_DATABASE_OPTIMIZER_WHATIF_PARAMETER_SAMPLER_H_
#define SERVICES_DATABASE_OPTIMIZER_WHATIF_PARAMETER_SAMPLER_H_

#include <string>

#include "services/database_optimizer/candidates/statement_shape.h"

namespace slipstream::database_optimizer {

// `sample` of `samples_count`, from 0: equal values follow the rows' own frequencies, are any of
// the column's values, or are rare; ranges and intervals are of several widths. A LIMIT is the rows
// that a run gave on average.
std::string FillIn(const std::string& sql, const StatementShape& shape, const Catalog& catalog,
                   double rows_per_run, int sample, int samples_count);

// The statement as PREPARE takes it: pg_stat_statements makes `date $1` and `interval $2 day` of
// typed constants, which is no SQL; CAST($1 AS date) is.
std::string WithCasts(const std::string& sql, const StatementShape& shape);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WHATIF_PARAMETER_SAMPLER_H_
