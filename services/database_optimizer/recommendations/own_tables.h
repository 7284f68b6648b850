// The service's own tables, in the schema `slipstream` of the database that it looks after.
//
//   recommendations   what was found, with its evidence, and where it stands
//   changes           what is done about it: the intent is here before anything is done
//
// Thread safety: as the connection. Errors: those of postgres::Migrate.
#ifndef SERVICES_DATABASE_OPTIMIZER_RECOMMENDATIONS_OWN_TABLES_H_
#define SERVICES_DATABASE_OPTIMIZER_RECOMMENDATIONS_OWN_TABLES_H_

#include <vector>

#include "libs/postgres/migrations.h"

namespace slipstream::database_optimizer {

const std::vector<postgres::Migration>& OwnMigrations();

absl::Status EnsureOwnTables(postgres::Connection& connection);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_RECOMMENDATIONS_OWN_TABLES_H_
