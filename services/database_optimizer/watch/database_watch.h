// The watch of one database, put together: its connections, its loop, and what GetStats and
// ExplainQuery are answered from.
//
// Connections of its own, apart from the pool, so that it sees a pool that is exhausted: at most
// one to look, runtime.blocking_threads_count for GetStats and one to explain, read-only, opened
// when first needed.
//
// Thread safety: Start and Stop from the owner, the rest from any thread.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_DATABASE_WATCH_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_DATABASE_WATCH_H_

#include <functional>
#include <memory>
#include <string>

#include "libs/async/scope.h"
#include "libs/postgres/client.h"
#include "libs/service/context.h"
#include "services/database_optimizer/watch/notification_alert_sink.h"
#include "services/database_optimizer/watch/observed_statements.h"
#include "services/database_optimizer/watch/postgres_query_explainer.h"
#include "services/database_optimizer/watch/postgres_stats_source.h"
#include "services/database_optimizer/watch/watch_loop.h"

namespace slipstream::config::v1 {
class DatabaseOptimizerConfig;
}

namespace slipstream::database_optimizer {

WatchSettings WatchSettingsOf(const config::v1::DatabaseOptimizerConfig& config);

class DatabaseWatch {
 public:
  // `observed`: what went through the pool. `add_pool` adds the pool's figures to an answer (pool,
  // and which replicas are in use); called from any thread until Stop has returned. REQUIRES:
  // postgres_url is set and can be read.
  DatabaseWatch(service::Context& context, ObservedStatements& observed,
                std::function<void(v1::GetStatsResponse*)> add_pool);
  ~DatabaseWatch() { Stop(); }

  void Start();
  // Ends the loop and every call that waits, within the connect timeout.
  void Stop();

  DatabaseStatsSource& stats_source() { return source_; }
  QueryExplainer& explainer() { return explainer_; }
  const postgres::Client& stats_client() const { return stats_client_; }

 private:
  const WatchSettings settings_;
  postgres::Client look_client_;
  postgres::Client stats_client_;
  postgres::Client explain_client_;
  NotificationAlertSink sink_;
  WatchLoop loop_;
  PostgresStatsSource source_;
  PostgresQueryExplainer explainer_;
  async::Scope scope_;  // last: its coroutine uses all of the above
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_DATABASE_WATCH_H_
