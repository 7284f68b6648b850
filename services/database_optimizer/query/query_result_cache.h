// Results of statements in the cache service, tagged by the tables that they read.
//
// Entries belong to the optimizer's own user there, so no other caller of the cache can read them.
// A result that an invalidation overtook while it was computed is not stored (see CachedFunction).
//
// Thread safety: all methods from any coroutine.
#ifndef SERVICES_DATABASE_OPTIMIZER_QUERY_QUERY_RESULT_CACHE_H_
#define SERVICES_DATABASE_OPTIMIZER_QUERY_QUERY_RESULT_CACHE_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/async/scope.h"
#include "libs/client/cache/cached_function.h"
#include "libs/clock/clock.h"
#include "libs/random/random.h"
#include "slipstream/database_optimizer/v1/database_optimizer.pb.h"

namespace slipstream::database_optimizer {

class QueryResultCache {
 public:
  // All outlive it. `own_call` makes a call in the service's own name.
  struct Deps {
    cache_client::CacheClient& client;
    async::Scope& scope;
    const clock::Clock& clock;
    random::Random& random;
    std::function<rpc::CallOptions()> own_call;
  };
  using Compute = std::function<Async<absl::StatusOr<v1::QueryResponse>>()>;

  explicit QueryResultCache(const Deps& deps);

  // The cached result of `request`, or what `compute` gives, kept for the request's lifetime under
  // `tags`. Without the cache service: what `compute` gives.
  Async<absl::StatusOr<v1::QueryResponse>> Get(const v1::QueryRequest& request,
                                               std::vector<std::string> tags, Compute compute);

  // When it is OK, no result with any of the tags is served any more. Errors of the cache service.
  Async<absl::Status> Invalidate(std::vector<std::string> tags);

  // Tags that one entry can have; see cache.proto.
  static constexpr size_t kMaxTagsCount = 16;

 private:
  const Deps deps_;
  cache_client::CachedFunction function_;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_QUERY_QUERY_RESULT_CACHE_H_
