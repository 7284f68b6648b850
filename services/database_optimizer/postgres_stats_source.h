// Statistics from PostgreSQL's own catalogs and views, and from pg_stat_statements where it is
// installed.
//
// Thread safety: all methods from any coroutine; the client outlives this.
#ifndef SERVICES_DATABASE_OPTIMIZER_POSTGRES_STATS_SOURCE_H_
#define SERVICES_DATABASE_OPTIMIZER_POSTGRES_STATS_SOURCE_H_

#include "libs/postgres/client.h"
#include "services/database_optimizer/database_stats_source.h"

namespace slipstream::database_optimizer {

class PostgresStatsSource final : public DatabaseStatsSource {
 public:
  explicit PostgresStatsSource(postgres::Client& client) : client_(client) {}

  Async<absl::StatusOr<v1::GetStatsResponse>> Read(int limit_count,
                                                   absl::Duration timeout) override;

 private:
  postgres::Client& client_;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_POSTGRES_STATS_SOURCE_H_
