// Statistics from PostgreSQL's own catalogs and views, and from pg_stat_statements where it is
// installed, read anew for each call; and what the watch has seen since it began.
//
// Thread safety: all methods from any coroutine; what Deps names outlives this.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_POSTGRES_STATS_SOURCE_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_POSTGRES_STATS_SOURCE_H_

#include <functional>

#include "libs/postgres/client.h"
#include "services/database_optimizer/database_stats_source.h"
#include "services/database_optimizer/watch/watch_loop.h"

namespace slipstream::database_optimizer {

class PostgresStatsSource final : public DatabaseStatsSource {
 public:
  struct Deps {
    postgres::Client& client;
    WatchLoop& watch;
    WatchSettings settings;
    // Adds the pool's figures; may be empty.
    std::function<void(v1::GetStatsResponse*)> add_pool;
  };
  explicit PostgresStatsSource(Deps deps) : deps_(std::move(deps)) {}

  Async<absl::StatusOr<v1::GetStatsResponse>> Read(int limit_count,
                                                   absl::Duration timeout) override;

 private:
  const Deps deps_;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_POSTGRES_STATS_SOURCE_H_
