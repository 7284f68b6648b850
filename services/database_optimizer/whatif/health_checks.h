// What else is wrong with a database: indexes that nothing uses, that another covers or that a
// failed build left, statistics that are missing or old, settings that do not fit.
//
// Thread safety: as the connection. Errors: those of postgres::Connection; a check that is refused
// becomes a gap of the advice and the others go on.
#ifndef SERVICES_DATABASE_OPTIMIZER_WHATIF_HEALTH_CHECKS_H_
#define SERVICES_DATABASE_OPTIMIZER_WHATIF_HEALTH_CHECKS_H_

#include <string>

#include "absl/status/status.h"
#include "services/database_optimizer/whatif/index_advisor.h"

namespace slipstream::database_optimizer {

// Appends to the advice, which AdviseIndexes made. With `tables` in the options only those tables
// are checked, and no settings.
absl::Status CheckHealth(postgres::Connection& connection, const AdvisorOptions& options,
                         Advice& advice);

// Whether `other` does all that `index` does: pure, for CheckHealth and its test.
bool Covers(const IndexInfo& other, const IndexInfo& index);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WHATIF_HEALTH_CHECKS_H_
