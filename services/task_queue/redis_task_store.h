// TaskStore on Redis: tasks survive this process, and any number of servers share them.
//
// Every change is decided here by task_state.h on a record that was read, and committed by a script
// only while the record is still that one; otherwise it is read again. Leasing and plain submits
// and successes go in batches of many callers. Nothing is kept here that is not in Redis, but the
// records this server has leased, which saves reading them again for their report.
//
// A session's time runs by a clock in Redis that stands still while nobody looks: an outage of
// Redis, or of all servers, costs no worker its leases.
//
// Shards: a tenant's tasks (a user's without tenant) are in one, named by the last two bytes of a
// task's id. With one Redis server one shard is best; a cluster wants a few per primary. Their
// number can't change while tasks are there (CheckLayout).
//
// Thread safety: as TaskStore. Errors: as TaskStore; UNAVAILABLE with a retry delay while Redis is
// away. After UNAVAILABLE a change may have been made all the same; repeating it is safe: reports
// are recognised, leases that nobody heard of are found by FindSession, a submit needs a request
// id.
#ifndef SERVICES_TASK_QUEUE_REDIS_TASK_STORE_H_
#define SERVICES_TASK_QUEUE_REDIS_TASK_STORE_H_

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "libs/redis/client.h"
#include "libs/sync/mutex.h"
#include "services/task_queue/redis_shard.h"
#include "services/task_queue/task_store.h"

namespace slipstream::task_queue {

struct RedisTaskStoreOptions {
  std::string name = "slipstream";       // first part of every key
  int shards_count = 1;                  // 1-1,024
  int64_t max_tasks_count = 10'000'000;  // finished ones included; of each shard
  // What other servers may have added to a shard since Redis last told its total: while that much
  // room is left a submit is made without a look at it. Each server has at most two batches under
  // way, so this is enough for 16 of them; with more the bound may be passed by some thousands.
  int64_t room_margin = 16 * 2 * static_cast<int64_t>(RedisShard::kMaxBatchCount);
  int64_t max_outbox_count = 1'000'000;  // elements; beyond it the oldest are dropped and counted
  absl::Duration aging_step = absl::Seconds(30);
  task_state::RetryPolicy retry;
  absl::Duration session_clock_step = absl::Seconds(1);  // see above
  absl::Duration outbox_lock = absl::Seconds(5);
  bool forget_waits_for_outbox = true;
  std::string server_id;  // who forwards the outbox; unique among the servers
};

class RedisTaskStore final : public TaskStore {
 public:
  // The client outlives the store, or is given to it.
  RedisTaskStore(redis::Client& client, RedisTaskStoreOptions options);
  RedisTaskStore(std::unique_ptr<redis::Client> client, RedisTaskStoreOptions options);
  ~RedisTaskStore() override;

  // FAILED_PRECONDITION when Redis holds tasks in another number of shards; records the number.
  Async<absl::Status> CheckLayout();

  std::string_view name() const override { return "redis"; }
  bool durable() const override { return true; }
  std::string MakeTaskId(std::string uuid, std::string_view owner,
                         std::string_view tenant) const override;

  Async<absl::StatusOr<std::vector<absl::StatusOr<Submitted>>>> SubmitBatch(
      std::span<const NewTask> tasks, bool all_or_nothing, absl::Time now) override;
  Async<absl::Status> OpenSession(SessionLease session, absl::Time now) override;
  Async<absl::StatusOr<std::vector<bool>>> RenewSessions(std::span<const SessionLease> sessions,
                                                         absl::Time now) override;
  Async<absl::StatusOr<StoredSession>> FindSession(std::string_view session_id,
                                                   absl::Time now) override;
  Async<absl::StatusOr<std::vector<TaskRecord>>> LeaseBatch(std::string_view session_id,
                                                            std::span<const LeaseType> types,
                                                            int max_count, absl::Time now) override;
  Async<absl::StatusOr<std::vector<Reported>>> FinishBatch(std::span<const FinishRequest> requests,
                                                           absl::Time now) override;
  Async<absl::StatusOr<std::vector<Reported>>> ProgressBatch(
      std::span<const ProgressRequest> requests, absl::Time now) override;
  Async<absl::StatusOr<std::vector<Reported>>> ReleaseBatch(std::span<const LeaseKey> leases,
                                                            absl::Time now) override;
  Async<absl::StatusOr<TaskRecord>> Get(std::string_view task_id) override;
  Async<absl::StatusOr<std::vector<std::optional<TaskRecord>>>> BulkGet(
      std::span<const std::string> task_ids) override;
  Async<absl::StatusOr<TaskPage>> ListByOwner(const ListQuery& query) override;
  Async<absl::StatusOr<Cancelled>> Cancel(std::string_view task_id, std::string message,
                                          absl::Time now) override;
  Async<absl::StatusOr<TaskRecord>> Restart(std::string_view task_id, absl::Time now) override;
  Async<absl::StatusOr<SweepResult>> Sweep(absl::Time now, int max_count, double jitter) override;
  Async<absl::StatusOr<CleanupResult>> Cleanup(const CleanupQuery& query, absl::Time now) override;
  Async<absl::StatusOr<PurgeResult>> Purge(const PurgeQuery& query, absl::Time now) override;
  Async<absl::StatusOr<std::vector<std::string>>> SetPaused(std::string_view task_type,
                                                            bool paused) override;
  Async<absl::StatusOr<StoreStats>> Stats() override;
  int outbox_part_count() const override { return static_cast<int>(shards_.size()); }
  Async<absl::StatusOr<std::vector<OutboxEntry>>> ReadOutbox(int part, int64_t after_sequence,
                                                             int max_count) override;
  Async<absl::Status> AckOutbox(int part, int64_t up_to_sequence) override;
  void SetListener(StoreListener* listener) override;
  void AnnounceEndedLease(const EndedLease& ended) override;
  Async<absl::Status> SaveShared(std::string_view kind, std::string_view name, std::string document,
                                 absl::Duration ttl) override;
  Async<absl::StatusOr<std::vector<std::pair<std::string, std::string>>>> LoadShared(
      std::string_view kind) override;

 private:
  using Stored = RedisShard::Stored;

  RedisShard& ShardOf(std::string_view owner, std::string_view tenant) const;
  // Null for an id that is none of this store's.
  RedisShard* ShardOfTask(std::string_view task_id) const;

  // --- submit (redis_submit.cc)
  Async<absl::StatusOr<std::vector<absl::StatusOr<Submitted>>>> SubmitTogether(
      std::span<const NewTask> tasks, absl::Time now);
  struct BatchPlan;
  // What a submit would do; `refused` is about the submit, the call's status about Redis.
  struct Planned {
    absl::Status refused;
    Submitted submitted;
  };
  Async<absl::StatusOr<Planned>> Plan(const NewTask& task, absl::Time now, BatchPlan& batch);

  // --- leases (redis_lease.cc)
  struct GivenPermits {
    std::string mark;         // with another one they are not valid any more
    std::vector<int> counts;  // one per type that was asked for
  };
  // `permits`: of the types, null for types without limits.
  Async<absl::StatusOr<int>> LeaseFrom(RedisShard& shard, const std::string& session_id,
                                       const std::vector<std::string>& types,
                                       const GivenPermits* permits, int max_count, absl::Time now,
                                       std::vector<TaskRecord>& leased);
  Async<absl::StatusOr<GivenPermits>> Permits(const std::string& session_id, absl::Time now,
                                              std::string mark, std::vector<std::string> args);
  Async<absl::Status> TakeUnusedPermits(std::string session, std::string moves,
                                        std::map<std::string, int64_t> limited);
  // What a session holds, by type; types of which it has none are left out.
  Async<absl::StatusOr<std::map<std::string, int64_t>>> PermitsOf(std::string session);
  void Remember(std::vector<std::unique_ptr<Stored>> leased);
  // What is remembered of this lease, which is forgotten by it.
  std::unique_ptr<Stored> TakeLease(const LeaseKey& lease);  // null: not here
  void ForgetLease(const std::string& task_id);

  // --- reports (redis_report.cc)
  Async<absl::StatusOr<Reported>> ReportOne(LeaseKey lease, ReportKind kind,
                                            RedisShard::Change change, absl::Time now);
  // What follows a committed change: permits given back, dependents told.
  Async<absl::Status> AfterChange(RedisShard& shard, const RedisShard::Changed& changed,
                                  absl::Time now, std::vector<TaskRecord>* told);

  // --- time (redis_sweep.cc)
  struct Sweeping {
    absl::Time now;
    int max_count;
    double jitter;
    SweepResult result;
    int done_count() const {
      return static_cast<int>(result.changed.size()) + static_cast<int>(result.forgotten_count);
    }
    // One that can't be done must not keep time from all others: it is told at the end. Without
    // Redis none can: false.
    bool GoesOn(const absl::Status& status) {
      if (absl::IsUnavailable(status)) return false;
      result.failure.Update(status);
      return true;
    }
  };
  Async<absl::Status> SweepShard(RedisShard& shard, Sweeping& sweeping);
  Async<absl::Status> EndSession(RedisShard& shard, const redis::Value& ended, Sweeping& sweeping);
  Async<absl::Status> RunTimer(RedisShard& shard, std::string id, Sweeping& sweeping);
  Async<absl::Status> EndOverdue(Sweeping& sweeping);
  Async<absl::StatusOr<int64_t>> Forget(RedisShard& shard, const std::vector<Stored>& tasks);
  Async<absl::Status> ForgetBucket(RedisShard& shard, const redis::Value& over, Sweeping& sweeping);
  Async<absl::Status> BoundOutbox(RedisShard& shard);

  std::set<int64_t> Conflate(int part, int64_t before,
                             const std::vector<redis_codec::OutboxElement>& elements);
  Async<absl::Status> AddStats(RedisShard& shard, StoreStats& stats);

  std::unique_ptr<redis::Client> owned_client_;
  redis::Client& client_;
  const RedisTaskStoreOptions options_;
  std::vector<std::unique_ptr<RedisShard>> shards_;
  std::atomic<uint32_t> next_shard_{0};
  std::atomic<int64_t> outbox_dropped_count_{0};

  sync::Mutex mu_;
  // By this server; each under the id in its record.
  std::unordered_map<std::string_view, std::unique_ptr<Stored>> leased_ ABSL_GUARDED_BY(mu_);
  absl::Time next_overdue_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();  // at the earliest

  struct HandedOut {
    int64_t up_to = 0;            // number of the last element that was read
    std::set<int64_t> conflated;  // of these: left out for a newer progress
  };
  std::map<int, HandedOut> handed_out_ ABSL_GUARDED_BY(mu_);  // by part of the outbox

  StoreListener* listener_ = nullptr;
  std::unique_ptr<redis::Client::Subscription> subscription_;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_REDIS_TASK_STORE_H_
