// The pool's figures as GetStats gives them.
//
// Thread safety: a pure function.
#ifndef SERVICES_DATABASE_OPTIMIZER_QUERY_POOL_STATS_H_
#define SERVICES_DATABASE_OPTIMIZER_QUERY_POOL_STATS_H_

#include "libs/postgres/pool.h"
#include "slipstream/database_optimizer/v1/database_optimizer.pb.h"

namespace slipstream::database_optimizer {

void FillPoolStats(const postgres::PoolOptions& options, const postgres::PoolFigures& figures,
                   v1::PoolStats* out);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_QUERY_POOL_STATS_H_
