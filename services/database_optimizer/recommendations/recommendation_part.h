// The advisor's part of the service: its connections, its engine and the thread that makes changes,
// built from the configuration.
//
// Thread safety: Start and Stop by the module; engine() from any thread.
#ifndef SERVICES_DATABASE_OPTIMIZER_RECOMMENDATIONS_RECOMMENDATION_PART_H_
#define SERVICES_DATABASE_OPTIMIZER_RECOMMENDATIONS_RECOMMENDATION_PART_H_

#include <memory>

#include "absl/status/statusor.h"
#include "libs/metrics/registry.h"
#include "libs/postgres/client.h"
#include "libs/service/context.h"
#include "services/database_optimizer/apply/change_runner.h"
#include "services/database_optimizer/recommendations/recommendation_engine.h"

namespace slipstream::database_optimizer {

class RecommendationPart {
 public:
  // REQUIRES: database_optimizer.postgres_url is set and can be read. INVALID_ARGUMENT names a
  // setting that is wrong.
  static absl::StatusOr<std::unique_ptr<RecommendationPart>> Make(service::Context& context);

  RecommendationEngine& engine() { return *engine_; }
  void Start() { runner_->Start(); }
  void Stop();

 private:
  RecommendationPart() = default;

  std::unique_ptr<postgres::Client> reader_, writer_;
  std::unique_ptr<ChangeRunner> runner_;
  std::unique_ptr<RecommendationEngine> engine_;
  metrics::Registry::Registration metrics_;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_RECOMMENDATIONS_RECOMMENDATION_PART_H_
