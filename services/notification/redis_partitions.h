// How the notification service's keys lie in Redis: by the name of the channel or user in
// kCount partitions, each under a hash tag of its own. A call goes to Redis once per partition that
// it touches, and a cluster has them on all its nodes.
//
// Thread safety: all methods from any thread. Errors: libs/redis/client.h; INTERNAL
// (REDIS_DATA_UNREADABLE) for an answer that is not one per request.
#ifndef SERVICES_NOTIFICATION_REDIS_PARTITIONS_H_
#define SERVICES_NOTIFICATION_REDIS_PARTITIONS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/async/async.h"
#include "libs/redis/client.h"

namespace slipstream::notification {

class RedisPartitions {
 public:
  static constexpr size_t kCount = 16;
  using Args = std::vector<std::string>;
  struct Request {
    std::string key;  // whose partition it goes to
    Args args;
  };

  // `client` outlives it.
  RedisPartitions(redis::Client& client, std::string prefix)
      : client_(client), prefix_(std::move(prefix)) {}

  // Under which all keys of a partition lie: "prefix{notify:3}:".
  std::string BaseOf(size_t partition) const;

  // Evaluates the script once per partition, KEYS[1] its base, ARGV `head` and then the arguments
  // of its requests. The script answers an array with one element per request; so does this.
  Async<absl::StatusOr<std::vector<redis::Value>>> Eval(const redis::Script& script, Args head,
                                                        std::vector<Request> requests);

 private:
  struct Call;

  redis::Client& client_;
  const std::string prefix_;
};

absl::Status RedisDataUnreadable();
// Of an integer or a text of digits; 0 for anything else.
uint64_t NumberOf(const redis::Value& value);

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_REDIS_PARTITIONS_H_
