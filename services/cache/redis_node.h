// This process as a node of the cache in Redis: it joins, renews its lease, follows the log of
// invalidations and confirms it, and waits for the other nodes' confirmations on behalf of whoever
// made something invalid.
//
// The promise: once Acknowledge answers OK, each node that had a lease has applied the
// invalidation, or its lease has ended, and a node without a lease serves nothing of before: it
// empties its memory before it has one again.
//
//   not joined --Join--> joined, lease valid --renewal missed--> lease over (reads miss)
//       ^                    |                                        |
//       +---- Fence: GEN, GONE, a gap that the log has lost ----------+--- a late renewal: valid
//       again
//
// Thread safety: all methods, from any thread; Start and Stop once, Stop on a thread that is not
// the executor's. Errors: UNAVAILABLE with a retry delay when Redis, or the promise, can't be
// reached.
#ifndef SERVICES_CACHE_REDIS_NODE_H_
#define SERVICES_CACHE_REDIS_NODE_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/async/scope.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "services/cache/invalidation_follower.h"
#include "services/cache/node_lease.h"
#include "services/cache/node_sightings.h"
#include "services/cache/redis_link.h"

namespace slipstream::cache {

class RedisNode {
 public:
  struct Options {
    std::string node_id;  // of this life of the process
    absl::Duration lease = absl::Seconds(1);
  };
  // All outlive it.
  struct Deps {
    RedisLink& link;
    MemoryCacheStore& memory;
    InvalidationFollower& follower;
    const clock::Clock& clock;
    logging::Logger logger;
  };
  RedisNode(const Deps& deps, const Options& options);
  ~RedisNode();

  void Start();
  void Stop();

  NodeLease& lease() { return lease_; }
  const NodeLease& lease() const { return lease_; }

  // A script said that the generation it was called with is over.
  void GenerationOver(const InvalidationFollower::Life& life);

  // The moment `timeout` from now by Redis's clock, or a little before it: what a script that comes
  // later refuses, its caller has given up.
  int64_t RedisDeadlineMs(absl::Duration timeout) const;

  // Until every node has confirmed `needed` or has no lease. `pending`: those that had not when it
  // was made. With 0 it only waits until no node can hold a lease of a generation before.
  Async<absl::StatusOr<Invalidated>> Acknowledge(
      std::shared_ptr<const InvalidationFollower::Life> life, Offset needed,
      std::vector<NodeRenewal> pending);

  // The nodes in an answer of a script, as {node, renewal, ...}.
  static std::vector<NodeRenewal> NodesOf(const redis::Value& list);
  static absl::Status Away();

  struct Figures {
    int64_t bytes = 0;
    int64_t entries_count = 0;
    int64_t nodes_count = 0;
    int64_t fences_count = 0;  // how often the lease was lost
  };
  Figures figures() const;

 private:
  struct Wait;
  Async<void> LeaseLoop();
  Async<void> FollowLoop();
  Async<void> ConfirmLoop();
  Async<void> Join();
  Async<void> Renew();
  Async<void> ReadLog(Offset from);
  Async<void> Leave();
  Async<void> Poll(Wait& wait);
  void Begin(const redis::Value& reply, uint64_t session, absl::Duration asked_at);
  void Fence(std::string_view why);
  void EmptyMemory();
  void SetRedisTime(uint64_t time_ms);
  void OnMessage(std::string_view channel, std::string_view payload);

  const Deps deps_;
  const Options options_;
  NodeLease lease_;
  NodeSightings sightings_;
  std::string node_;  // of the latest try to join; the lease loop's
  async::Event wake_lease_;
  std::atomic<bool> joined_{false};
  // Before it nodes may hold leases that Redis has forgotten with the generation before. Monotonic.
  std::atomic<int64_t> settled_at_ns_{0};
  // Redis's clock less our monotonic one, at most; as of the latest renewal.
  std::atomic<int64_t> redis_ahead_ms_{0};
  std::atomic<int64_t> bytes_{0};
  std::atomic<int64_t> entries_count_{0};
  std::atomic<int64_t> nodes_count_{0};
  std::atomic<int64_t> fences_count_{0};
  std::unique_ptr<redis::Client::Subscription> subscription_;
  async::Scope loops_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_REDIS_NODE_H_
