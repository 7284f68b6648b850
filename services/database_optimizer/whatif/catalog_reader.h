// Reads tables, columns, indexes and their statistics from PostgreSQL's catalogs, without locks on
// what they describe (sizes are those of the last vacuum or analyze).
//
// Thread safety: as the connection. Errors: those of postgres::Connection.
#ifndef SERVICES_DATABASE_OPTIMIZER_WHATIF_CATALOG_READER_H_
#define SERVICES_DATABASE_OPTIMIZER_WHATIF_CATALOG_READER_H_

#include <set>

#include "absl/status/statusor.h"
#include "libs/postgres/connection.h"
#include "services/database_optimizer/candidates/catalog.h"

namespace slipstream::database_optimizer {

// The schema of the service's own tables, which are never looked at.
inline constexpr char kOwnSchema[] = "slipstream";
inline constexpr int kMaxCatalogTablesCount = 2000;  // the largest ones

// Tables, columns and indexes; no column statistics.
absl::StatusOr<Catalog> ReadCatalog(postgres::Connection& connection);

// Column statistics of the tables at these places. A table that cannot be read has none.
absl::Status ReadStatistics(postgres::Connection& connection, const std::set<int>& places,
                            Catalog& catalog);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WHATIF_CATALOG_READER_H_
