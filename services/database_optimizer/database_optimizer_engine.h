// The optimizer's logic. Links neither gRPC nor libpqxx.
//
// Thread safety: all methods from any coroutine. Source and explainer outlive the engine.
// Errors: UNAVAILABLE POSTGRES_NOT_CONFIGURED while no database is configured, else those of
// DatabaseStatsSource and QueryExplainer; INVALID_ARGUMENT INVALID_FIELD.
#ifndef SERVICES_DATABASE_OPTIMIZER_DATABASE_OPTIMIZER_ENGINE_H_
#define SERVICES_DATABASE_OPTIMIZER_DATABASE_OPTIMIZER_ENGINE_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/async/async.h"
#include "services/database_optimizer/database_stats_source.h"
#include "services/database_optimizer/watch/query_explainer.h"
#include "slipstream/database_optimizer/v1/database_optimizer.pb.h"

namespace slipstream::database_optimizer {

class DatabaseOptimizerEngine {
 public:
  static constexpr int kDefaultLimitCount = 20;
  static constexpr int kMaxLimitCount = 100;
  // However long the caller would wait.
  static constexpr absl::Duration kMaxStatsTime = absl::Seconds(8);

  // Null: no database is configured.
  explicit DatabaseOptimizerEngine(DatabaseStatsSource* source, QueryExplainer* explainer = nullptr)
      : source_(source), explainer_(explainer) {}

  // What each call answers while no database is configured.
  static absl::Status NotConfigured();

  // `time_left` is what the caller still waits.
  Async<absl::StatusOr<v1::GetStatsResponse>> GetStats(const v1::GetStatsRequest& request,
                                                       absl::Duration time_left);

  Async<absl::StatusOr<v1::ExplainQueryResponse>> ExplainQuery(
      const v1::ExplainQueryRequest& request, absl::Duration time_left);

 private:
  DatabaseStatsSource* const source_;
  QueryExplainer* const explainer_;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_DATABASE_OPTIMIZER_ENGINE_H_
