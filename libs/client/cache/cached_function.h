// Get-or-compute through the cache, with single-flight in this process: of all coroutines that ask
// for one key on behalf of one caller at the same time, one computes and the others take its
// answer.
//
// The cache only ever speeds up: when it is away or answers an error, the value is computed. A
// computation that fails is not stored, and those who waited for it get its error.
//
// Thread safety: Call from any coroutine. The object outlives all its calls.
#ifndef LIBS_CLIENT_CACHE_CACHED_FUNCTION_H_
#define LIBS_CLIENT_CACHE_CACHED_FUNCTION_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/async/event.h"
#include "libs/client/cache/cache_client.h"
#include "libs/sync/mutex.h"

namespace slipstream::cache_client {

class CachedFunction {
 public:
  using Compute = std::function<Async<absl::StatusOr<std::string>>()>;

  // `client` outlives it.
  explicit CachedFunction(CacheClient& client) : client_(client) {}

  struct Answer {
    std::string value;
    enum Source { kCache, kComputed, kShared } source;  // kShared: of a computation in progress
  };

  // Waits for another's computation at most `max_wait`, then computes for itself.
  Async<absl::StatusOr<Answer>> Call(rpc::CallOptions call, cache::v1::CacheKey key,
                                     cache::v1::EntryOptions options, Compute compute,
                                     absl::Duration max_wait = absl::Seconds(30));

 private:
  struct Flight;
  class Leader;

  CacheClient& client_;
  sync::Mutex mutex_;
  absl::flat_hash_map<std::string, std::shared_ptr<Flight>> flights_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::cache_client

#endif  // LIBS_CLIENT_CACHE_CACHED_FUNCTION_H_
