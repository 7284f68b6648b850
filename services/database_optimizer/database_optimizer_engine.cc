#include "services/database_optimizer/database_optimizer_engine.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::database_optimizer {

absl::Status DatabaseOptimizerEngine::NotConfigured() {
  return status::Error(
      absl::StatusCode::kUnavailable, "POSTGRES_NOT_CONFIGURED",
      "no PostgreSQL is configured: set database_optimizer.postgres_url to "
      "postgresql://user:password@host:5432/database (in the environment: "
      "SLIPSTREAM_DATABASE_OPTIMIZER_POSTGRES_URL), or start with tools/up --postgres URL",
      {{"setting", "database_optimizer.postgres_url"},
       {"environment", "SLIPSTREAM_DATABASE_OPTIMIZER_POSTGRES_URL"}});
}

Async<absl::StatusOr<v1::GetStatsResponse>> DatabaseOptimizerEngine::GetStats(
    const v1::GetStatsRequest& request, absl::Duration time_left) {
  if (source_ == nullptr) co_return NotConfigured();
  const int limit_count = request.limit_count() == 0 ? kDefaultLimitCount : request.limit_count();
  if (limit_count < 1 || limit_count > kMaxLimitCount) {
    co_return status::FieldError("limit_count",
                                 absl::StrCat("must be 1-100, or 0 for 20, is ", limit_count));
  }
  co_return co_await source_->Read(limit_count, std::min(time_left, kMaxStatsTime));
}

Async<absl::StatusOr<v1::ExplainQueryResponse>> DatabaseOptimizerEngine::ExplainQuery(
    const v1::ExplainQueryRequest& request, absl::Duration time_left) {
  if (explainer_ == nullptr) co_return NotConfigured();
  co_return co_await explainer_->Explain(request, time_left);
}

}  // namespace slipstream::database_optimizer
