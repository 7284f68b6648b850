// Asks Redis Sentinels where the primary is (https://redis.io/docs/reference/sentinel-clients/):
// in order, the one that answered last first. Whether the answer is a primary is checked by ROLE
// when connecting (DialSettings::must_be_primary): a Sentinel may not know of a failover yet.
//
// Thread safety: Locate from any strand, several at a time.
// Errors: UNAVAILABLE REDIS_UNAVAILABLE with what the last Sentinel said.
#ifndef LIBS_REDIS_SENTINEL_H_
#define LIBS_REDIS_SENTINEL_H_

#include <memory>
#include <string>
#include <vector>

#include "libs/async/async.h"
#include "libs/redis/client.h"
#include "libs/redis/dial.h"
#include "libs/redis/url.h"
#include "libs/sync/mutex.h"

namespace slipstream::redis {

class Sentinels {
 public:
  Sentinels(const Url& url, DialSettings dial, const Options& options);

  // `self` keeps the object alive while the coroutine waits.
  Async<absl::StatusOr<Endpoint>> Locate(std::shared_ptr<Sentinels> self, Executor strand);

 private:
  Async<absl::StatusOr<Endpoint>> AskOne(Executor strand, Endpoint sentinel);

  const std::string master_name_;
  DialSettings dial_;  // without credentials
  std::string user_;   // for Sentinels that ask for them
  std::string password_;
  sync::Mutex mutex_;
  std::vector<Endpoint> sentinels_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::redis

#endif  // LIBS_REDIS_SENTINEL_H_
