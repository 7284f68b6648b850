// The pool's figures as GetStats gives them.
//
// Thread safety: pure functions.
#ifndef SERVICES_DATABASE_OPTIMIZER_QUERY_POOL_STATS_H_
#define SERVICES_DATABASE_OPTIMIZER_QUERY_POOL_STATS_H_

#include <vector>

#include "libs/postgres/pool.h"
#include "slipstream/database_optimizer/v1/database_optimizer.pb.h"

namespace slipstream::database_optimizer {

void FillPoolStats(const postgres::PoolOptions& options, const postgres::PoolFigures& figures,
                   v1::PoolStats* out);

// The replicas that reads go to, besides those that stream from the primary, which are there
// already. What is known to be one replica, as it is the only one that streams by its name, is one
// entry: by its address, which stays when it streams no more, and with the greater lag.
void AddPoolReplicas(const std::vector<postgres::ReplicaFigures>& replicas,
                     v1::GetStatsResponse* out);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_QUERY_POOL_STATS_H_
