// CacheStore in two tiers: the memory of this process in front of Redis, which all nodes share.
//
//   read:   memory, if the lease is valid --miss--> Redis, checked against epochs and patterns, and
//           copied into memory under a guard
//   write:  Redis in one script --> every other node has dropped the old value --> answer
//
// Without a valid lease it reads nothing but misses (or, for at most detached_l1, what the memory
// holds), and refuses writes.
//
// Thread safety: as CacheStore says. Start and Stop once; Stop on a thread that is not the
// executor's, with no call in progress. Errors: UNAVAILABLE CACHE_DEGRADED, and RESOURCE_EXHAUSTED
// TOO_MANY_PATTERNS, both with a retry delay.
#ifndef SERVICES_CACHE_REDIS_CACHE_STORE_H_
#define SERVICES_CACHE_REDIS_CACHE_STORE_H_

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/redis/client.h"
#include "services/cache/invalidation_follower.h"
#include "services/cache/memory_cache_store.h"
#include "services/cache/redis_link.h"
#include "services/cache/redis_node.h"
#include "services/cache/tier_counters.h"

namespace slipstream::cache {

struct RedisCacheStoreOptions {
  MemoryCacheStore::Options memory;
  std::string node_id;  // different in each life of each process
  std::string key_prefix = "slipstream";
  // What the cache may hold in Redis; 0: half of its maxmemory, and kDefaultL2MaxBytes without one.
  int64_t l2_max_bytes = 0;
  absl::Duration lease = absl::Seconds(1);
  // Longest that a read waits for Redis.
  absl::Duration read_timeout = absl::Milliseconds(100);
  // Longest that memory alone may answer after the lease has ended: what it answers may be old.
  absl::Duration detached_l1 = absl::ZeroDuration();
  // Longest that a copy stays in memory, by type; 0: as long as it lives.
  std::array<int64_t, kTypeCount> l1_max_age_ms{};
};

class RedisCacheStore final : public CacheStore {
 public:
  // The commands of `client` take no longer than this; a lease is longer than a hang of it.
  static constexpr absl::Duration kCommandTimeout = absl::Milliseconds(900);

  static constexpr int64_t kDefaultL2MaxBytes = int64_t{256} << 20;

  // What the client must say on each new connection (redis::Options::greeting).
  static std::vector<std::vector<std::string>> Greeting(std::string_view key_prefix);

  // `clock` outlives it.
  RedisCacheStore(std::unique_ptr<redis::Client> client, const clock::Clock& clock,
                  logging::Logger logger, RedisCacheStoreOptions options);
  ~RedisCacheStore() override;

  void Start();
  void Stop() override;

  bool ReadNow(absl::Span<const ScopedKey> keys, int64_t now_ms,
               absl::Span<EntryRef> found) override;
  Async<void> Read(absl::Span<const ScopedKey> keys, int64_t now_ms, absl::Span<EntryRef> found,
                   absl::Span<bool> from_l2) override;
  Async<void> Write(absl::Span<const WriteRequest> writes, int64_t now_ms,
                    absl::Span<WriteResult> results) override;
  Async<absl::StatusOr<Erased>> Erase(absl::Span<const ScopedKey> keys, int64_t now_ms) override;
  Async<absl::StatusOr<Invalidated>> Invalidate(Invalidation what) override;
  Offset CurrentOffset() const override { return memory_.CurrentOffset(); }
  Async<SharedLease> AcquireLease(const ScopedKey& key, std::string_view token,
                                  absl::Duration lease, uint64_t seen_version) override;
  Async<void> EndLease(const ScopedKey& key, std::string_view token) override;
  bool shares_leases() const override { return true; }
  void SetListener(StoreListener* listener) override { follower_.SetListener(listener); }
  bool attached() const override { return node_.lease().Valid(); }
  WatchLog& watch_log() override { return watch_log_; }
  void Sweep(int64_t now_ms) override { memory_.SweepNext(now_ms); }
  StoreUsage Usage() const override { return memory_.Usage(); }
  std::string_view policy() const override { return memory_.policy(); }
  std::optional<SecondTier> second_tier() const override;

 private:
  using LifeRef = std::shared_ptr<const InvalidationFollower::Life>;
  // What the nodes must still do for some writes.
  struct Due {
    Offset needed = 0;
    std::vector<NodeRenewal> pending;
    void Add(Offset offset, const redis::Value& nodes);
  };

  bool MayServeDetached() const;
  Async<void> ReadShared(absl::Span<const ScopedKey> keys, int64_t now_ms,
                         absl::Span<EntryRef> found, absl::Span<bool> from_l2,
                         const InvalidationFollower::View& asked_with);
  EntryRef Judge(const ScopedKey& key, const redis::Value& reply, int64_t now_ms, Offset as_of,
                 const InvalidationFollower::View& asked_with);
  void Copy(const ScopedKey& key, const RedisEntry& entry, Offset as_of);
  RedisLink::Args SetArgs(const WriteRequest& write, int64_t now_ms,
                          const InvalidationFollower::Life& life) const;
  // True when the value could not be kept and the one before has to go.
  bool TakeSetReply(const WriteRequest& write, const RedisLink::Reply& reply, int64_t now_ms,
                    Offset as_of, const InvalidationFollower::Life& life, Due* due,
                    WriteResult* result);
  Async<void> GiveWay(const ScopedKey& key, int64_t now_ms, const LifeRef& life, Due* due,
                      WriteResult* result);
  // In redis_cache_upkeep.cc: patterns are retired once nothing in Redis matches them any more, by
  // whichever node comes first; and the server's figures are sampled.
  Async<void> GlobLoop();
  Async<void> SweepGlobs();
  Async<bool> DropMatching(const std::vector<InvalidationFollower::Glob>& globs,
                           const InvalidationFollower::Life& life);
  Async<void> SampleLoop();
  void TakeSample(const std::string& info);
  int64_t l2_max_bytes() const { return l2_max_bytes_.load(std::memory_order_relaxed); }
  int64_t NowMs() const { return absl::ToUnixMillis(clock_.Now()); }

  const RedisCacheStoreOptions options_;
  const clock::Clock& clock_;
  std::unique_ptr<redis::Client> client_;  // null after Stop; changes under server_mutex_
  const logging::Logger logger_;
  RedisLink link_;
  MemoryCacheStore memory_;
  WatchLog watch_log_;
  InvalidationFollower follower_;
  RedisNode node_;
  TierCounters counters_;
  std::atomic<int64_t> l2_max_bytes_;
  mutable sync::Mutex server_mutex_;
  SecondTier::Server server_ ABSL_GUARDED_BY(server_mutex_);
  async::Event globs_due_;
  async::Scope loops_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_REDIS_CACHE_STORE_H_
