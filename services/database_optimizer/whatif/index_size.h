// How large an index will be on disk, from the statistics of its columns. HypoPG's own estimate is
// up to 2.5 times too large: it knows neither the alignment of a key nor that PostgreSQL (13 and
// later) keeps equal keys once, with a list of their rows.
//
// Thread safety: pure. Nothing fails.
#ifndef SERVICES_DATABASE_OPTIMIZER_WHATIF_INDEX_SIZE_H_
#define SERVICES_DATABASE_OPTIMIZER_WHATIF_INDEX_SIZE_H_

#include <cstdint>

#include "services/database_optimizer/candidates/catalog.h"
#include "services/database_optimizer/candidates/index_definition.h"

namespace slipstream::database_optimizer {

// In bytes, of a B-tree as CREATE INDEX fills it. `rows_count`: rows that its condition leaves.
int64_t SizeOnDisk(const IndexDefinition& index, const TableInfo& table, double rows_count);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WHATIF_INDEX_SIZE_H_
