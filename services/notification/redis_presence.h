// PresenceDirectory in Redis: a hash per user with what each node says of it.
//
// A node renews its word every kRenewInterval, and one that is older than kLease counts for
// nothing: a node that died is forgotten by then. Keys, under the base of the user's partition
// (redis_partitions.h):
//   u:USER  hash: node -> "connections:time_ms:" tenant, and "" -> "0:last_seen_ms:" tenant
//
// Thread safety: all methods from any thread; Stop and the destructor not on the executor's.
// Errors: libs/redis/client.h. What Redis did not take is said again until it does.
#ifndef SERVICES_NOTIFICATION_REDIS_PRESENCE_H_
#define SERVICES_NOTIFICATION_REDIS_PRESENCE_H_

#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "libs/async/event.h"
#include "libs/async/scope.h"
#include "libs/clock/clock.h"
#include "libs/redis/client.h"
#include "libs/sync/mutex.h"
#include "services/notification/presence_directory.h"
#include "services/notification/redis_partitions.h"

namespace slipstream::notification {

struct RedisPresenceOptions {
  std::string key_prefix = "slipstream";
  std::string node_id;  // unique, not empty
  // How long a user who left is known.
  absl::Duration remember = absl::Hours(24);
};

class RedisPresence final : public PresenceDirectory {
 public:
  static constexpr absl::Duration kRenewInterval = absl::Seconds(10);
  static constexpr absl::Duration kLease = absl::Seconds(30);
  static constexpr size_t kMaxBatchCount = 256;

  // `clock` outlives it.
  RedisPresence(std::shared_ptr<redis::Client> client, const clock::Clock& clock,
                RedisPresenceOptions options);
  ~RedisPresence() override { Stop(); }

  void Set(const std::string& user, const std::string& tenant, int connections_count) override;
  Async<absl::StatusOr<std::vector<UserPresence>>> Find(std::vector<std::string> users) override;
  void Tick() override;
  void Stop() override;

 private:
  struct Word {
    std::string tenant;
    int connections_count = 0;
  };
  using Words = std::vector<std::pair<std::string, Word>>;

  Words TakeDirty();
  Async<absl::Status> Say(const Words& words);
  Async<void> Loop();

  const std::shared_ptr<redis::Client> client_;
  RedisPartitions partitions_;
  const clock::Clock& clock_;
  const RedisPresenceOptions options_;

  async::Event changed_;
  mutable sync::Mutex mutex_;
  // Users with connections, and those whose end is not told yet.
  std::unordered_map<std::string, Word> users_ ABSL_GUARDED_BY(mutex_);
  std::unordered_set<std::string> dirty_ ABSL_GUARDED_BY(mutex_);
  absl::Duration next_renewal_ ABSL_GUARDED_BY(mutex_);
  async::Scope scope_;
};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_REDIS_PRESENCE_H_
