// Calls of the cache's scripts, each within a time of its own: a caller that may not wait goes on
// while the command is still under way, and the connection is not given up for it.
//
// Thread safety: all methods, from any thread. Errors: libs/redis/client.h, and UNAVAILABLE
// (REDIS_UNAVAILABLE) when the time is over: the script may run or have run.
#ifndef SERVICES_CACHE_REDIS_LINK_H_
#define SERVICES_CACHE_REDIS_LINK_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/async/async.h"
#include "libs/redis/client.h"

namespace slipstream::cache {

class RedisLink {
 public:
  using Reply = absl::StatusOr<redis::Value>;
  using Args = std::vector<std::string>;

  // `client` outlives it, and its commands take no longer than command_timeout. `base` is KEYS[1].
  RedisLink(redis::Client& client, std::string base) : client_(client), base_(std::move(base)) {}

  Async<Reply> Eval(const redis::Script& script, Args args, absl::Duration timeout);
  // All in one pipeline; replies[i] answers calls[i].
  Async<std::vector<Reply>> EvalAll(const redis::Script& script, std::vector<Args> calls,
                                    absl::Duration timeout);
  Async<Reply> Command(Args args, absl::Duration timeout);

  redis::Client& client() const { return client_; }
  const std::string& base() const { return base_; }

 private:
  redis::Client& client_;
  const std::string base_;
};

// "{GEN}", the answer of a script whose caller's generation is over.
bool IsOver(const redis::Value& reply);
// The first word of a script's answer; empty for none.
std::string_view WordOf(const redis::Value& reply);
// The i-th element of an array as a number; 0 for none.
uint64_t NumberAt(const redis::Value& reply, size_t i);

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_REDIS_LINK_H_
