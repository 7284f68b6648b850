// Optimize, ListRecommendations, GetRecommendation, ApplyRecommendation and RevertRecommendation.
// No gRPC here.
//
// Thread safety: all methods from any coroutine. What blocks runs on the clients' threads.
// Errors: INVALID_ARGUMENT INVALID_FIELD; NOT_FOUND RECOMMENDATION_NOT_FOUND; FAILED_PRECONDITION
// RECOMMENDATION_STATE (what is asked for does not fit where it stands), HYPOPG_MISSING,
// STATEMENTS_NOT_COUNTED, MIGRATION_REFUSED; ABORTED RECOMMENDATION_CHANGED; those of
// postgres::Client.
#ifndef SERVICES_DATABASE_OPTIMIZER_RECOMMENDATIONS_RECOMMENDATION_ENGINE_H_
#define SERVICES_DATABASE_OPTIMIZER_RECOMMENDATIONS_RECOMMENDATION_ENGINE_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "libs/async/async.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/page_token/page_token.h"
#include "libs/postgres/client.h"
#include "libs/random/random.h"
#include "services/database_optimizer/recommendations/recommendation_store.h"

namespace slipstream::database_optimizer {

inline constexpr absl::string_view kRecommendationState = "RECOMMENDATION_STATE";

class RecommendationEngine {
 public:
  static constexpr int kDefaultPageSize = 20;
  static constexpr int kMaxPageSize = 100;
  static constexpr int64_t kMaxBudgetBytes = int64_t{1} << 50;
  static constexpr int kMaxTablesCount = 1000;
  static constexpr int kMaxRecommendationsCount = 200;

  // All outlive this.
  struct Deps {
    postgres::Client& reader;  // read-only: searches
    postgres::Client& writer;  // the service's own tables
    const clock::Clock& clock;
    random::Random& random;
    page_token::PageTokens page_tokens;
    AdvisorOptions advisor;
    logging::Logger logger;
    std::function<void()> wake;  // there is a change to make
  };
  explicit RecommendationEngine(Deps deps) : deps_(std::move(deps)) {}

  // `user`: who asks, for the record. `time_left`: what the caller still waits.
  Async<absl::StatusOr<v1::OptimizeResponse>> Optimize(const v1::OptimizeRequest& request,
                                                       std::string user, absl::Duration time_left);
  Async<absl::StatusOr<v1::ListRecommendationsResponse>> List(
      const v1::ListRecommendationsRequest& request, absl::Duration time_left);
  Async<absl::StatusOr<v1::Recommendation>> Get(std::string recommendation_id,
                                                absl::Duration time_left);
  Async<absl::StatusOr<v1::ApplyRecommendationResponse>> Apply(
      const v1::ApplyRecommendationRequest& request, std::string user, absl::Duration time_left);
  Async<absl::StatusOr<v1::Recommendation>> Revert(std::string recommendation_id, std::string user,
                                                   absl::Duration time_left);

 private:
  template <class T>
  Async<absl::StatusOr<T>> WithStore(absl::Duration time_left,
                                     std::function<absl::StatusOr<T>(RecommendationStore&)> use);

  Deps deps_;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_RECOMMENDATIONS_RECOMMENDATION_ENGINE_H_
