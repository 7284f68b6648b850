// TaskStore over a durable one and this process's memory: while the durable store is away submits
// are accepted in memory (`durable: false`) and run from there, and moved to it when it is back.
//
//   FallbackTaskStore store(std::make_shared<RedisTaskStore>(...), memory_options,
//                           {.connected = [&client] { return client.connected(); }});
//
// Away is what is known, never a guess: its connection is down, or a call has failed with an error
// that says so and no sweep or renewal has succeeded since. The call that finds it out fails; those
// after it are served from memory. So no submit is ever in doubt about which store has it.
//
// Which tasks move. Ids are those of the durable store, so a task keeps its own. It moves exactly
// as it was submitted, or not at all: one that was started (its lease's epoch means nothing to the
// other store), debounced, is part of a flow, or whose concurrency key runs here, ends where it is.
// Each moves once: it leaves the memory first, and is submitted under a request id of its own until
// the durable store has said yes or no, so that a lost answer can be asked for again. One that is
// refused (unique key taken, queue full) comes back and runs from memory; one whose request id the
// durable store knows is CANCELLED here, because that task stands for it.
//
// What can't be promised across the switch: a request id that was used at another server, or more
// than RecentRequests::kMaxCount ids ago, is new to the memory; unique keys, concurrency keys and
// limits of types count in each store by itself; the order of events between tasks; other servers
// do not know a task before it has moved. A task in memory ends with the process.
//
// Thread safety: as TaskStore.
// Errors: as TaskStore. While away, what only the durable store knows is UNAVAILABLE. UNAVAILABLE,
// reason TASK_MOVING, for the moment in which a task is in neither store; REQUEST_ID_AWAY and
// DEPENDENCY_AWAY for a submit whose answer lies in the durable store. FAILED_PRECONDITION,
// DEPENDENCIES_APART, for one that depends on tasks of both.
#ifndef SERVICES_TASK_QUEUE_FALLBACK_TASK_STORE_H_
#define SERVICES_TASK_QUEUE_FALLBACK_TASK_STORE_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libs/sync/mutex.h"
#include "services/task_queue/memory_task_store.h"
#include "services/task_queue/recent_requests.h"
#include "services/task_queue/task_store.h"

namespace slipstream::task_queue {

inline constexpr char kTaskMoving[] = "TASK_MOVING";
inline constexpr char kRequestIdAway[] = "REQUEST_ID_AWAY";
inline constexpr char kDependencyAway[] = "DEPENDENCY_AWAY";
inline constexpr char kDependenciesApart[] = "DEPENDENCIES_APART";

// UNAVAILABLE with a retry delay, as below.
absl::Status StoreAway();
absl::Status TaskMoving(std::string_view task_id);

struct FallbackOptions {
  // Whether the durable store's connection is up. From any thread; does not wait.
  std::function<bool()> connected;
  // Whether an error of the durable store says that it is away.
  std::function<bool(const absl::Status&)> says_away = [](const absl::Status& status) {
    return absl::IsUnavailable(status);
  };
  // True: nothing of ours is in it before it first answers, so nothing needs to be asked of it.
  bool durable_is_new = false;
};

class FallbackTaskStore final : public TaskStore {
 public:
  FallbackTaskStore(std::shared_ptr<TaskStore> durable, MemoryTaskStoreOptions memory,
                    FallbackOptions options);

  std::string_view name() const override { return durable_->name(); }
  bool durable() const override { return durable_->durable(); }
  std::string MakeTaskId(std::string uuid, std::string_view owner,
                         std::string_view tenant) const override {
    return durable_->MakeTaskId(std::move(uuid), owner, tenant);
  }

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
  // Of the durable store; then up to kMaxMovingCount tasks are moved to it.
  Async<absl::StatusOr<SweepResult>> Sweep(absl::Time now, int max_count, double jitter) override;
  bool has_part_here() const override { return true; }
  Async<SweepResult> SweepHere(absl::Time now, int max_count, double jitter) override;
  Async<absl::StatusOr<CleanupResult>> Cleanup(const CleanupQuery& query, absl::Time now) override;
  Async<absl::StatusOr<PurgeResult>> Purge(const PurgeQuery& query, absl::Time now) override;
  Async<absl::StatusOr<std::vector<std::string>>> SetPaused(std::string_view task_type,
                                                            bool paused) override;
  Async<absl::StatusOr<StoreStats>> Stats() override;
  // The memory's is the last part.
  int outbox_part_count() const override { return durable_->outbox_part_count() + 1; }
  Async<absl::StatusOr<std::vector<OutboxEntry>>> ReadOutbox(int part, int64_t after_sequence,
                                                             int max_count) override;
  Async<absl::Status> AckOutbox(int part, int64_t up_to_sequence) override;
  void SetListener(StoreListener* listener) override { durable_->SetListener(listener); }
  void AnnounceEndedLease(const EndedLease& ended) override { durable_->AnnounceEndedLease(ended); }
  Async<absl::Status> SaveShared(std::string_view kind, std::string_view name, std::string document,
                                 absl::Duration ttl) override;
  Async<absl::StatusOr<std::vector<std::pair<std::string, std::string>>>> LoadShared(
      std::string_view kind) override;

 private:
  // At once; those of a move that is in doubt count too.
  static constexpr int kMaxMovingCount = 64;
  // Documents saved and types paused while the durable store is away, for it to be told.
  static constexpr size_t kMaxUntoldCount = 1'000;

  struct Document {
    std::string text;
    absl::Duration ttl;
  };
  enum class Place { kHere, kMoving, kThere };

  // --- what is known of the durable store
  bool Away() const { return failed_.load(std::memory_order_acquire) || !options_.connected(); }
  // Nothing can be asked, and something may be there.
  bool Blind() const { return !options_.connected() && !NothingThere(); }
  bool NothingThere() const {
    return options_.durable_is_new && !answered_.load(std::memory_order_acquire);
  }
  void Note(const absl::Status& status);
  template <class T>
  absl::StatusOr<T> Noted(absl::StatusOr<T> result) {
    Note(result.status());
    return result;
  }
  Place PlaceOf(std::string_view task_id) const;

  // --- submit and move (fallback_submit.cc)
  absl::Status CheckHere(std::span<const NewTask> tasks);
  Async<absl::StatusOr<std::vector<absl::StatusOr<Submitted>>>> SubmitHere(
      std::span<const NewTask> tasks, bool all_or_nothing, absl::Time now);
  Async<absl::StatusOr<std::vector<absl::StatusOr<Submitted>>>> SubmitThere(
      std::span<const NewTask> tasks, bool all_or_nothing, absl::Time now);
  bool MovingConcerns(const NewTask& task) const;
  std::vector<MemoryTaskStore::Unstarted> TakeForMove();
  // False: the durable store did not answer; what is moving stays so.
  Async<bool> MoveOne(const MemoryTaskStore::Unstarted& one, absl::Time now);
  void Settle(const MemoryTaskStore::Unstarted& one, const absl::StatusOr<Submitted>& moved,
              absl::Time now);
  Async<bool> MoveSome(absl::Time now);

  // --- leases (fallback_lease.cc)
  template <class Request, class Call>
  Async<absl::StatusOr<std::vector<Reported>>> Report(std::span<const Request> requests, Call call);

  // --- what the durable store is still to be told (fallback_task_store.cc)
  Async<void> TellUntold();

  // In this order: the durable store answers what is pending before the rest goes.
  const FallbackOptions options_;
  MemoryTaskStore memory_;
  const std::shared_ptr<TaskStore> durable_;
  std::atomic<bool> failed_{false};    // and no sweep or renewal has succeeded since
  std::atomic<bool> answered_{false};  // ever

  mutable sync::Mutex mu_;  // before the memory's
  std::map<std::string, MemoryTaskStore::Unstarted, std::less<>> moving_ ABSL_GUARDED_BY(mu_);
  RecentRequests recent_ ABSL_GUARDED_BY(mu_);
  // Sessions to which the durable store may have leased what nobody heard of.
  std::set<std::string, std::less<>> doubtful_sessions_ ABSL_GUARDED_BY(mu_);
  std::map<std::pair<std::string, std::string>, Document> untold_documents_ ABSL_GUARDED_BY(mu_);
  std::vector<std::pair<std::string, bool>> untold_pauses_ ABSL_GUARDED_BY(mu_);
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_FALLBACK_TASK_STORE_H_
