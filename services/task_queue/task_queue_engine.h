// TaskQueueEngine: the queue as users and administrators see it, and what time does to it.
//
// Submit, read, cancel, restart, clean up, figures. Every task is looked at through MayAccess
// (caller.h): another's task does not exist. What workers do is in worker_sessions.h.
//
// Nothing here sleeps: the module calls Tick() and the sessions' Dispatch() in loops of its own.
//
// Other servers may share the store. It tells of what they do (StoreListener); figures and task
// types reach them through its shared documents.
//
// Thread safety: all methods from any thread, except that one Tick runs at a time.
// Errors: as submit_check.h and task_store.h say; UNAVAILABLE, reason DRAINING, with a retry delay
// for submits at the end of the process.
#ifndef SERVICES_TASK_QUEUE_TASK_QUEUE_ENGINE_H_
#define SERVICES_TASK_QUEUE_TASK_QUEUE_ENGINE_H_

#include <atomic>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "services/task_queue/caller.h"
#include "services/task_queue/flow_plan.h"
#include "services/task_queue/queue_figures.h"
#include "services/task_queue/submit_check.h"
#include "services/task_queue/task_store.h"
#include "services/task_queue/worker_sessions.h"

namespace slipstream::task_queue {

inline constexpr size_t kMaxBulkCount = 100;
inline constexpr int kMaxSweepCount = 1'000;

struct BulkTasks {
  std::vector<TaskRecord> tasks;
  std::vector<std::string> missing_task_ids;
};

struct QueueReport {
  StoreStats store;
  Figures figures;
  std::vector<SessionInfo> workers;
  std::string_view store_name;
  bool degraded = false;  // the store does not answer Sweep
};

class TaskQueueEngine final : public StoreListener {
 public:
  struct Deps {
    TaskStore& store;
    const clock::Clock& clock;
    random::Random& random;
    TaskTypeRegistry& registry;
    QueueFigures& figures;
    TaskSignals& signals;
    WorkerSessions& sessions;
    SharedTaskTypes* shared_types = nullptr;  // null: types are known here alone
    std::string server_id = "";               // under which its figures are shared; empty: not
    const ArgsCipher* args = nullptr;         // null: types with sensitive arguments are refused
  };
  TaskQueueEngine(Deps deps, SubmitLimits limits) : deps_(std::move(deps)), limits_(limits) {}

  Async<absl::StatusOr<TaskRecord>> Submit(const Caller& caller, const SubmitSpec& spec);
  // One result per spec, at most kMaxBulkCount. With `all_or_nothing` either all are accepted or
  // none.
  Async<absl::StatusOr<std::vector<absl::StatusOr<TaskRecord>>>> SubmitMany(
      const Caller& caller, std::span<const SubmitSpec> specs, bool all_or_nothing);

  Async<absl::StatusOr<TaskRecord>> Get(const Caller& caller, std::string task_id);
  Async<absl::StatusOr<BulkTasks>> GetMany(const Caller& caller, std::vector<std::string> task_ids);
  // The caller's own, or `owner`'s for an administrator.
  Async<absl::StatusOr<TaskPage>> List(const Caller& caller, ListQuery query);
  Async<absl::StatusOr<TaskRecord>> Cancel(const Caller& caller, std::string task_id,
                                           std::string reason);
  Async<absl::StatusOr<TaskRecord>> Restart(const Caller& caller, std::string task_id);
  // For administrators; the RPC's permission has been checked.
  Async<absl::StatusOr<CleanupResult>> Cleanup(std::optional<absl::Duration> older_than,
                                               bool dry_run);
  // Waiting or dead tasks of one type, or of all ("*").
  Async<absl::StatusOr<PurgeResult>> Purge(PurgeQuery query);
  Async<absl::StatusOr<std::vector<std::string>>> SetPaused(std::string task_type, bool paused);
  Async<absl::StatusOr<QueueReport>> Report();

  // What time alone does; true when there is more to do at once. After the store was away workers
  // are first given time to hand in what they hold: twice as long as it was away, since they try
  // again ever less often, and at most kRecoveryTime. (A single lost call is no reason to leave due
  // tasks waiting for a second, and many of them would be one for ever.) UNAVAILABLE while the
  // store is away; its part here, if it has one, has been swept all the same.
  Async<absl::StatusOr<bool>> Tick();
  // Leaves this server's figures in the store.
  Async<absl::Status> ShareFigures();

  // StoreListener
  void OnWork() override { deps_.signals.work().Notify(); }
  void OnEndedLease(const EndedLease& ended) override;
  void OnGap() override;

  // Refuses submits from now on.
  void BeginDrain() { draining_.store(true, std::memory_order_release); }

 private:
  static constexpr absl::Duration kRecoveryTime = absl::Seconds(1);
  static constexpr absl::Duration kFiguresTtl = absl::Seconds(30);

  // What SubmitMany has found out so far, one of each per entry.
  struct Batch {
    std::vector<absl::StatusOr<TaskRecord>> results;
    std::vector<NewTask> accepted;
    std::vector<size_t> places;  // of `accepted` in `results`
    FlowPlan flow;               // empty when no entry depends on any task
  };
  absl::Status CheckAccepting() const;
  Async<void> LearnTypes(std::span<const SubmitSpec> specs);
  void CheckAll(const Caller& caller, std::span<const SubmitSpec> specs, absl::Time now,
                Batch& batch);
  void RefuseFollowers(Batch& batch, bool stored);
  void Settle(std::vector<absl::StatusOr<Submitted>> stored, absl::Time now, Batch& batch);
  Async<absl::StatusOr<bool>> Recover(absl::Time now);
  Async<absl::StatusOr<bool>> TickStore(absl::Time now);
  void Swept(const SweepResult& swept, absl::Time now);
  void Changed(std::span<const TaskRecord> tasks, absl::Time now);
  void EndLease(const EndedLease& ended);

  const Deps deps_;
  const SubmitLimits limits_;
  std::atomic<bool> draining_{false};
  std::atomic<bool> gap_{false};         // news may have been missed
  std::atomic<bool> store_away_{false};  // the last Tick found it so
  // Of Tick alone:
  absl::Time store_seen_ = absl::InfinitePast();  // when it last was there
  absl::Time sweep_after_ = absl::InfinitePast();
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_TASK_QUEUE_ENGINE_H_
