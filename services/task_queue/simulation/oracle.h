// Oracle: says whether what the queue did is what it promised.
//
// It hears of each change at the moment the store made it (faulty_store.h), of what workers start
// and what the receiver of events gets, and keeps its own account (task_model.h). It shares no line
// with task_state.cc: rules are written down here a second time, on purpose. The first violation
// ends the run.
//
// Thread safety: none.
#ifndef SERVICES_TASK_QUEUE_SIMULATION_ORACLE_H_
#define SERVICES_TASK_QUEUE_SIMULATION_ORACLE_H_

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "services/task_queue/simulation/faults.h"
#include "services/task_queue/simulation/settings.h"
#include "services/task_queue/simulation/task_model.h"
#include "services/task_queue/simulation/trace.h"
#include "services/task_queue/task_store.h"

namespace slipstream::task_queue::simulation {

// What a calm queue may take for what time alone does: sweeps that fail and are tried again.
inline constexpr int kSlackTicks = 12;

// Of a call to the store, one way.
inline constexpr absl::Duration kMaxTravelTime = absl::Milliseconds(60);

class Oracle {
 public:
  struct Deps {
    const Settings& settings;
    Scheduler& scheduler;
    Faults& faults;
    Trace& trace;
  };
  struct Counts {
    int64_t submitted = 0, leased = 0, succeeded = 0, failed = 0, cancelled = 0, expired = 0;
    int64_t retried = 0, lost_leases = 0, stale_refused = 0, repeated = 0, duplicates = 0;
    int64_t joined = 0, restarted = 0, purged = 0, debounced = 0, replaced = 0, unique_taken = 0;
    int64_t resumed = 0, events = 0, repeated_events = 0, told = 0;
  };
  explicit Oracle(Deps deps) : deps_(deps) {}

  // --- what the store did
  void OnSubmit(std::span<const NewTask> tasks, bool all_or_nothing,
                const absl::StatusOr<std::vector<absl::StatusOr<Submitted>>>& result,
                absl::Time now);
  void OnOpenSession(const SessionLease& session, const absl::Status& result);
  void OnRenewSessions(std::span<const SessionLease> sessions,
                       const absl::StatusOr<std::vector<bool>>& result, absl::Time now);
  void OnFindSession(std::string_view session_id, const absl::StatusOr<StoredSession>& result,
                     absl::Time now);
  void OnLease(std::string_view session_id, std::span<const LeaseType> types, int max_count,
               const absl::StatusOr<std::vector<TaskRecord>>& result, absl::Time now);
  void OnFinish(std::span<const FinishRequest> requests,
                const absl::StatusOr<std::vector<Reported>>& result, absl::Time now);
  void OnProgress(std::span<const ProgressRequest> requests,
                  const absl::StatusOr<std::vector<Reported>>& result);
  void OnRelease(std::span<const LeaseKey> leases,
                 const absl::StatusOr<std::vector<Reported>>& result);
  void OnCancel(std::string_view task_id, const absl::StatusOr<Cancelled>& result, absl::Time now);
  // The server knows that a worker is to be told.
  void OnCancelAnswered(Owner server, const Cancelled& cancelled) {
    if (!cancelled.changed || cancelled.session_id.empty() || !to_be_told_) return;
    to_be_told_(server, cancelled);
  }
  void SetToBeTold(std::function<void(Owner, const Cancelled&)> to_be_told) {
    to_be_told_ = std::move(to_be_told);
  }
  void OnTold() { ++counts_.told; }
  void OnRestart(std::string_view task_id, const absl::StatusOr<TaskRecord>& result,
                 absl::Time now);
  void OnSweep(const absl::StatusOr<SweepResult>& result, absl::Time now);
  void OnCleanup(const CleanupQuery& query, const absl::StatusOr<CleanupResult>& result,
                 absl::Time now);
  void OnPurge(const PurgeQuery& query, const absl::StatusOr<PurgeResult>& result, absl::Time now);
  void OnPaused(std::string_view task_type, bool paused,
                const absl::StatusOr<std::vector<std::string>>& result);

  // --- workers
  void OnStart(int worker, const std::string& task_id, int64_t epoch, const std::string& args);
  void OnConnected(const std::string& session_id, const std::string& user, bool resumed,
                   const void* stream);
  // The store has been told that this stream of the session is gone.
  // `renewals_count`: of the session before it was told. A renewal that was on its way at the same
  // time may have come after it, and gives the session its whole lease.
  void OnStreamLost(const std::string& session_id, const void* stream, int64_t renewals_count);
  int64_t renewals_count(const std::string& session_id) const {
    auto it = sessions_.find(session_id);
    return it == sessions_.end() ? 0 : it->second.renewals_count;
  }

  // --- clients and the receiver of events
  void OnAccepted(const std::string& task_id, const std::string& args);
  void OnEvent(const OutboxEntry& entry);

  // --- looks
  std::vector<std::string> TaskIds() const;  // that should still be there
  const TaskModel* Find(std::string_view task_id) const;
  std::vector<std::string> Unfinished() const;
  // It should have been done at `due`, and nothing stood in the way since.
  bool Overdue(absl::Time due) const;
  // Compares with what the store says now.
  void Audit(const std::vector<std::string>& ids,
             const std::vector<std::optional<TaskRecord>>& records, const StoreStats& stats);
  // After everything has come to rest: nothing lost, nothing left, every event told.
  void AtEnd(const std::vector<std::string>& ids,
             const std::vector<std::optional<TaskRecord>>& records, const StoreStats& stats);

  const Counts& counts() const { return counts_; }
  bool failed() const { return !violation_.empty(); }
  const std::string& invariant() const { return invariant_; }
  const std::string& violation() const { return violation_; }
  template <class... Parts>
  void Violation(std::string_view invariant, const Parts&... parts) {
    if (failed()) return;  // the first is the cause, the others may follow from it
    invariant_ = std::string(invariant);
    violation_ = absl::StrCat(parts...);
    deps_.trace.Add("VIOLATION ", invariant_, ": ", violation_);
  }

 private:
  using Tasks = std::map<std::string, TaskModel, std::less<>>;

  TaskModel* Known(std::string_view task_id, std::string_view what);
  const std::string& Name(std::string_view id) { return deps_.trace.Task(id); }
  void Accept(const NewTask& task, const Submitted& submitted, absl::Time now);
  void CheckRefused(const NewTask& task, const absl::Status& status);
  // Of the same owner's unfinished tasks the one that has the key.
  TaskModel* UniqueHolder(const NewTask& task);
  std::string DebounceOf(TaskModel& model, const NewTask& newer, absl::Time now);

  // The record's step from the model's status is allowed; takes over what follows.
  void Step(TaskModel& model, const TaskRecord& record, bool owed_event);
  // --- what may start now (oracle_lease.cc)
  void LeaseOne(TaskModel& model, const TaskRecord& record, std::span<const LeaseType> types,
                absl::Time now);
  void CheckMayStart(const TaskModel& model, const TaskRecord& record, absl::Time now);
  void CheckLimits(const TaskModel& model, std::span<const LeaseType> types);
  void CheckOrder(const TaskModel& model, std::span<const LeaseType> types, absl::Time now);
  void CheckTurn(const TaskModel& model, std::span<const LeaseType> types, absl::Time now);
  // Waits for nothing but a worker, and its type and key hold no limit that may keep it back.
  bool Startable(const TaskModel& model, std::span<const LeaseType> types, absl::Time now) const;

  // True when the report was accepted now, for the first time. Says what is wrong with the answer.
  bool CheckReported(TaskModel& model, const LeaseKey& lease, ReportKind kind,
                     const Reported& reported);
  void LeaveRunning(TaskModel& model);
  void FinishOne(const FinishRequest& request, const Reported& reported, absl::Time now);
  void AttemptFailed(TaskModel& model, const TaskRecord& record, const task_state::Failure& failure,
                     absl::Time now);
  void End(TaskModel& model, TaskStatus status, absl::Time now);
  void TellDependents(const TaskModel& ended, absl::Time now);
  // The store says since when it is ready, which it may have found out late.
  void BecomeReady(TaskModel& model, const TaskRecord& record);
  void SweepOne(TaskModel& model, const TaskRecord& record, absl::Time now);
  void CheckOverdue(const TaskModel& model);
  void CheckStats(const StoreStats& stats, const std::vector<std::optional<TaskRecord>>& records);
  void CheckEvents(const TaskModel& model);
  absl::Duration skew() const { return 2 * deps_.settings.max_skew; }
  // Its result's time is over, or somebody removed it.
  bool MayBeGone(const TaskModel& model) const {
    return model.gone || model.removable ||
           model.finished_at + model.spec.result_ttl <= deps_.scheduler.now() + skew();
  }
  const Deps deps_;
  Tasks tasks_;
  std::map<std::string, SessionModel, std::less<>> sessions_;
  std::map<std::string, std::string> requests_;  // (owner, tenant, request id) -> task id
  // Ids of submits that turned out to be repeated or debounced -> the task they stand for.
  std::map<std::string, std::string> stands_for_;
  std::map<std::string, EventModel, std::less<>> events_;
  std::set<std::string, std::less<>> paused_;
  std::set<std::pair<std::string, int64_t>> started_;  // (task, epoch) that some worker began
  // Starts of kRated: what the bucket held, and when.
  double rated_tokens_ = kRatedPerMinute;
  absl::Time rated_at_ = absl::InfinitePast();
  // Waiting tenant -> other tenant -> starts given to it meanwhile.
  std::map<std::string, std::map<std::string, int>> passed_over_;
  std::function<void(Owner, const Cancelled&)> to_be_told_;
  Counts counts_;
  std::string invariant_;
  std::string violation_;
};

}  // namespace slipstream::task_queue::simulation

#endif  // SERVICES_TASK_QUEUE_SIMULATION_ORACLE_H_
