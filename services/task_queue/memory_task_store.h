// TaskStore in this process's memory: the embedded default, and what Redis is measured against in
// tests. Everything is lost when the process ends. Bounded by tasks, bytes, request ids and outbox.
//
// With keeps_submits it is the part of a FallbackTaskStore that serves while Redis is away: what
// was submitted stays beside its record until it is started, so that it can be moved
// (memory_unstarted.cc).
//
// Tasks that depend on one that has ended are looked at after it: those it releases at once, up to
// kMaxReleasedCount a call, the rest and those it cancels in Sweep.
//
// Thread safety: as TaskStore; one mutex, held for one batch at a time. No method ever waits.
#ifndef SERVICES_TASK_QUEUE_MEMORY_TASK_STORE_H_
#define SERVICES_TASK_QUEUE_MEMORY_TASK_STORE_H_

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libs/sync/mutex.h"
#include "services/task_queue/start_limits.h"
#include "services/task_queue/task_store.h"
#include "services/task_queue/waiting_tasks.h"

namespace slipstream::task_queue {

struct MemoryTaskStoreOptions {
  int64_t max_tasks_count = 1'000'000;   // finished ones included; also request ids
  int64_t max_bytes = int64_t{1} << 30;  // arguments and results together, at submit
  int64_t max_outbox_count = 1'000'000;  // beyond it the oldest are dropped and counted
  absl::Duration aging_step = absl::Seconds(30);
  task_state::RetryPolicy retry;
  bool keeps_submits = false;  // see above
};

class MemoryTaskStore final : public TaskStore {
 public:
  static constexpr int kMaxReleasedCount = 100;

  explicit MemoryTaskStore(MemoryTaskStoreOptions options)
      : options_(options), waiting_(options.aging_step) {}

  std::string_view name() const override { return "memory"; }
  bool durable() const override { return false; }

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
  Async<absl::StatusOr<std::vector<OutboxEntry>>> ReadOutbox(int part, int64_t after_sequence,
                                                             int max_count) override;
  Async<absl::Status> AckOutbox(int part, int64_t up_to_sequence) override;
  Async<absl::Status> SaveShared(std::string_view kind, std::string_view name, std::string document,
                                 absl::Duration ttl) override;
  Async<absl::StatusOr<std::vector<std::pair<std::string, std::string>>>> LoadShared(
      std::string_view kind) override;

  // --- what a FallbackTaskStore asks (memory_unstarted.cc). REQUIRES: keeps_submits.

  // A task as it was submitted: never started, never debounced, of no flow.
  struct Unstarted {
    NewTask submitted;
    TaskRecord task;
  };
  // Takes up to so many out of the store, the oldest first. One whose concurrency key runs here
  // stays, and so does one that others here depend on.
  std::vector<Unstarted> TakeUnstarted(int max_count);
  // Puts one back, for good: it is not taken again. `cancelled`: as CANCELLED, with this message.
  TaskRecord PutBack(TaskRecord task, std::optional<std::string> cancelled, absl::Time now);
  // Forgets what a submit's request id stands for; its task was taken.
  void ForgetRequest(const NewTask& task);

  bool empty() const { return tasks_count_.load(std::memory_order_acquire) == 0; }
  int64_t waiting_count() const;     // PENDING
  int64_t unfinished_count() const;  // SCHEDULED, PENDING, RUNNING
  bool Has(std::string_view task_id) const;
  bool HasRequest(const NewTask& task) const;  // its request id stands for a task that is here
  // Whether what becomes of the submit depends on a task here: by its request id, its unique key
  // or what it depends on.
  bool Concerns(const NewTask& task) const;
  // These types are paused and no others.
  void MirrorPaused(const std::vector<std::string>& task_types);

 private:
  struct Entry {
    TaskRecord task;
    std::unique_ptr<NewTask> submitted;  // keeps_submits, until it can't be moved any more
    uint64_t order = 0;                  // of arrival
    int64_t progress_sequence = 0;  // its progress in the outbox, which a newer one may replace
  };
  struct Session {
    absl::Time until;
    std::string user;
    std::set<std::string> task_ids;
  };
  struct KnownRequest {
    std::string task_id;
    std::string fingerprint;
    absl::Time until;
  };
  using Timer = std::tuple<absl::Time, uint64_t, Entry*>;
  using Arrivals = std::map<uint64_t, Entry*>;
  // Tasks of one type and priority.
  struct Depth {
    std::set<Timer> pending;  // by the time since when they wait
    Arrivals scheduled;
    Arrivals failed;

    bool empty() const { return pending.empty() && scheduled.empty() && failed.empty(); }
  };
  // Tasks of one tenant with one concurrency key. The first of them is offered to workers while
  // none runs; the others are parked here, so that no lease ever looks at them.
  struct Concurrency {
    int running_count = 0;
    std::set<Timer> pending;
    Entry* offered = nullptr;
  };
  // What the earlier tasks of a batch have come to, or will.
  struct BatchPlan {
    // Of those that stand for a task that was there before: duplicates and debounced ones.
    std::map<std::string, std::string, std::less<>> aliases;
    // The rest only while a batch that is accepted whole or not at all is planned.
    std::map<std::string, const NewTask*> requests;
    std::set<std::string> unique_keys;
    std::set<std::string> task_ids;      // to be added
    std::set<std::string> replaced_ids;  // to be cancelled
  };

  // --- submit (memory_submit.cc)
  // What a submit that is not refused does.
  struct Plan {
    const Entry* known = nullptr;         // of the same request id: nothing is done
    Entry* holder = nullptr;              // of the unique key, to be replaced or debounced
    std::vector<std::string> depends_on;  // without aliases
    std::vector<std::string> waits_for;
  };
  absl::StatusOr<Plan> PlanSubmit(const NewTask& task, const BatchPlan& batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<const Entry*> FindRequest(const NewTask& task) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status PlanUnique(const NewTask& task, Plan& plan) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status PlanDependencies(const NewTask& task, const BatchPlan& batch, Plan& plan)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status PlanBatch(std::span<const NewTask> tasks) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<Submitted> SubmitOne(const NewTask& task, BatchPlan& batch, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // --- leases (memory_lease.cc)
  // Finds the task under its lease; the fence of every report.
  absl::StatusOr<Entry*> FindLeased(const LeaseKey& lease, ReportKind kind, Reported& out)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // --- indexes and outbox (memory_task_store.cc)
  Entry* Find(std::string_view task_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Kept(std::string_view task_id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool KeepsRequest(const NewTask& task) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes the entry out of every index, lets `change` at the record, puts it back.
  template <class F>
  absl::Status Change(Entry& entry, F change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const bool was_final = task_state::IsFinal(entry.task.status);
    Unindex(entry);
    absl::Status status = change(entry.task);
    Index(entry);
    if (!was_final && task_state::IsFinal(entry.task.status)) NoteEnd(entry.task);
    return status;
  }
  // A record that is not here yet.
  Entry& Keep(TaskRecord task) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Index(Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Unindex(Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Offer(Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Withdraw(Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OfferNext(const std::string& key, Concurrency& of) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Forget(Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Announce(Entry& entry, std::string_view type) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // --- flows and what time does (memory_sweep.cc)
  void NoteEnd(const TaskRecord& task) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // One task that waited for `dependency_id`, or null when none is left.
  Entry* NextDependent(const std::string& dependency_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ReleaseDependents(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SweepFlows(absl::Time now, int max_count, SweepResult& result)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SweepSessions(absl::Time now, int max_count, SweepResult& result)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SweepTimers(absl::Time now, int max_count, double jitter, SweepResult& result)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SweepRequests(absl::Time now, int max_count, SweepResult& result)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SweepOne(Entry& entry, absl::Time now, double jitter, SweepResult& result)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const MemoryTaskStoreOptions options_;
  mutable sync::Mutex mu_;
  std::unordered_map<std::string, Entry> tasks_ ABSL_GUARDED_BY(mu_);  // nodes do not move
  std::atomic<int64_t> tasks_count_{0};                                // size of tasks_
  uint64_t next_order_ ABSL_GUARDED_BY(mu_) = 1;
  int64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;

  // Indexes over tasks_.
  WaitingTasks waiting_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<std::string, Concurrency> concurrency_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<std::string, Entry*> unique_ ABSL_GUARDED_BY(mu_);  // unfinished ones
  // Tasks that wait, by what they wait for.
  std::unordered_map<std::string, std::set<std::string>> dependents_ ABSL_GUARDED_BY(mu_);
  std::set<Timer> timers_ ABSL_GUARDED_BY(mu_);
  Arrivals unstarted_ ABSL_GUARDED_BY(mu_);           // those with `submitted`
  uint64_t last_looked_at_ ABSL_GUARDED_BY(mu_) = 0;  // of unstarted_, by TakeUnstarted
  std::set<Timer> finished_ ABSL_GUARDED_BY(mu_);     // by the time they ended
  std::unordered_map<std::string, Arrivals> by_owner_ ABSL_GUARDED_BY(mu_);
  std::map<std::pair<std::string, TaskPriority>, Depth> depths_ ABSL_GUARDED_BY(mu_);
  std::array<int64_t, kTaskStatusCount> by_status_ ABSL_GUARDED_BY(mu_) = {};
  StartLimits limits_ ABSL_GUARDED_BY(mu_);

  // Ended tasks whose dependents are still to be told, and whether they SUCCEEDED.
  std::deque<std::pair<std::string, bool>> ended_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<std::string, Session> sessions_ ABSL_GUARDED_BY(mu_);
  std::set<std::pair<absl::Time, std::string>> session_timers_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<std::string, KnownRequest> requests_ ABSL_GUARDED_BY(mu_);
  std::set<std::pair<absl::Time, std::string>> request_timers_ ABSL_GUARDED_BY(mu_);
  std::set<std::string, std::less<>> paused_ ABSL_GUARDED_BY(mu_);
  // Kept until they are saved again: a store of one server has nobody else's to grow old.
  std::map<std::pair<std::string, std::string>, std::string> shared_ ABSL_GUARDED_BY(mu_);

  std::deque<OutboxEntry> outbox_ ABSL_GUARDED_BY(mu_);
  int64_t next_sequence_ ABSL_GUARDED_BY(mu_) = 1;
  int64_t read_sequence_ ABSL_GUARDED_BY(mu_) = 0;  // handed out: not replaced any more
  int64_t outbox_dropped_count_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_MEMORY_TASK_STORE_H_
