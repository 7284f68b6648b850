// HistoryStore in Redis, shared by any number of nodes: a stream per channel, appended, published
// and made idempotent by one script, with hints for the nodes that follow the channel.
//
// Thread safety: all methods from any thread; Stop and the destructor not on the executor's.
// Errors: libs/redis/client.h. An Append whose answer was lost (UNAVAILABLE) may have been made.
#ifndef SERVICES_NOTIFICATION_REDIS_HISTORY_STORE_H_
#define SERVICES_NOTIFICATION_REDIS_HISTORY_STORE_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/random/random.h"
#include "libs/redis/client.h"
#include "libs/sync/mutex.h"
#include "services/notification/channel_follower.h"
#include "services/notification/history_store.h"
#include "services/notification/redis_partitions.h"

namespace slipstream::notification {

struct RedisHistoryOptions {
  std::string key_prefix = "slipstream";
  int history_events_count = 50;  // per channel
  absl::Duration history_ttl = absl::Hours(24);
  // How often all followed channels are read although no hint says so.
  absl::Duration look_interval = absl::Seconds(30);
};

class RedisHistoryStore final : public HistoryStore {
 public:
  struct Deps {
    const clock::Clock& clock;
    random::Random& random;
    logging::Logger logger;
  };
  // Begins to listen for hints at once; Redis need not be there yet. Stop closes the client.
  RedisHistoryStore(std::shared_ptr<redis::Client> client, Deps deps, RedisHistoryOptions options);
  ~RedisHistoryStore() override { Stop(); }

  Async<absl::StatusOr<std::vector<Appended>>> Append(std::vector<AppendRequest> requests) override;
  Async<absl::StatusOr<std::vector<ReadResult>>> Read(std::vector<ReadRequest> requests) override;
  Async<absl::StatusOr<std::vector<int>>> Acknowledge(
      std::vector<AcknowledgeRequest> requests) override;
  bool shared() const override { return true; }
  void SetListener(HistoryListener* listener) override { follower_->SetListener(listener); }
  void Follow(const Channel& channel) override { follower_->Follow(channel); }
  void Unfollow(const Channel& channel) override { follower_->Unfollow(channel); }
  bool degraded() const override;
  void Stop() override;
  void Tick() override;
  HistoryStats Stats() const override;
  std::string_view name() const override { return "redis"; }

 private:
  using Args = RedisPartitions::Args;

  Args CommonArgs() const;
  HistoryView ViewOf(const redis::Value& reply, const Channel& channel) const;
  Async<absl::StatusOr<std::vector<HistoryView>>> ReadViews(std::vector<ReadRequest> requests,
                                                            bool own);
  Async<absl::StatusOr<std::vector<HistoryView>>> Look(std::vector<ChannelFollower::Place> places);
  void OnLink(bool up);
  bool hints_up() const;

  const Deps deps_;
  const RedisHistoryOptions options_;
  const std::shared_ptr<redis::Client> client_;
  RedisPartitions partitions_;
  const std::shared_ptr<ChannelFollower> follower_;
  mutable sync::Mutex hints_mutex_;
  // Null from Stop on; the second also where there is no cluster.
  std::unique_ptr<redis::Client::Subscription> hints_ ABSL_GUARDED_BY(hints_mutex_);
  std::unique_ptr<redis::Client::Subscription> sharded_hints_ ABSL_GUARDED_BY(hints_mutex_);
  std::atomic<int64_t> next_look_ns_;
  std::atomic<bool> warned_ = false;
};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_REDIS_HISTORY_STORE_H_
