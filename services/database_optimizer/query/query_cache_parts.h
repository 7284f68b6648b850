// What QueryResultCache stands on in a process: the channel to the cache service, which is known
// only when the module starts, and the scope of its background work.
//
// Thread safety: Start and Stop by the main thread.
#ifndef SERVICES_DATABASE_OPTIMIZER_QUERY_QUERY_CACHE_PARTS_H_
#define SERVICES_DATABASE_OPTIMIZER_QUERY_QUERY_CACHE_PARTS_H_

#include <optional>

#include "libs/async/scope.h"
#include "libs/client/cache/cache_client.h"
#include "libs/service/context.h"
#include "services/database_optimizer/query/query_result_cache.h"

namespace slipstream::database_optimizer {

class QueryCacheParts {
 public:
  explicit QueryCacheParts(service::Context& context)
      : peers_(context.peers),
        clock_(context.clock),
        random_(context.random),
        scope_(context.runtime.executor()) {}

  QueryResultCache* Start() {
    client_.emplace(peers_.Channel("cache"));
    cache_.emplace(QueryResultCache::Deps{*client_, scope_, clock_, random_,
                                          [this] { return peers_.OwnCall(); }});
    return &*cache_;
  }
  void Stop() { scope_.Close(); }

 private:
  service::Peers& peers_;
  const clock::Clock& clock_;
  random::Random& random_;
  async::Scope scope_;
  std::optional<cache_client::CacheClient> client_;
  std::optional<QueryResultCache> cache_;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_QUERY_QUERY_CACHE_PARTS_H_
