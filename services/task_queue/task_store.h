// TaskStore: where tasks, leases, sessions and the outbox are kept. The seam between the queue's
// logic and memory or Redis; contract/task_store_contract.h says what every store must do.
//
// A store applies the functions of task_state.h and nothing else to a record, each change in one
// step with its outbox entry. It has no clock: `now` comes with each call. Methods take batches, so
// that a store behind a network can commit what many callers hand in with one round trip.
//
// Thread safety: all methods from any thread, at the same time.
// Errors: a method's own status is UNAVAILABLE (with a retry delay) when the store is away; what is
// wrong with one element of a batch is that element's status, UNAVAILABLE too when only the part of
// the store is away that has it: nothing is known of it then, repeat it. NOT_FOUND, reason
// TASK_NOT_FOUND, for an unknown id; RESOURCE_EXHAUSTED, reason QUEUE_FULL, at the store's bounds;
// otherwise as task_state.h says.
#ifndef SERVICES_TASK_QUEUE_TASK_STORE_H_
#define SERVICES_TASK_QUEUE_TASK_STORE_H_

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/async/async.h"
#include "services/task_queue/task.h"
#include "services/task_queue/task_state.h"

namespace slipstream::task_queue {

inline constexpr char kTaskNotFound[] = "TASK_NOT_FOUND";
inline constexpr char kSessionNotFound[] = "SESSION_NOT_FOUND";
inline constexpr char kQueueFull[] = "QUEUE_FULL";
inline constexpr char kRequestIdReused[] = "REQUEST_ID_REUSED";
inline constexpr char kRequestAlreadyDone[] = "REQUEST_ALREADY_DONE";
inline constexpr char kUniqueKeyTaken[] = "UNIQUE_KEY_TAKEN";
inline constexpr char kOutboxTaken[] = "OUTBOX_TAKEN";
// How long a request id is remembered, whatever becomes of its task.
inline constexpr absl::Duration kRequestIdTtl = absl::Hours(24);

absl::Status TaskNotFound(std::string_view task_id);
// RESOURCE_EXHAUSTED with a retry delay; `what` names the bound.
absl::Status QueueFull(std::string_view what);
// ALREADY_EXISTS: the request id was used for other content, or for a task that is forgotten.
absl::Status RequestIdReused(std::string_view task_id);
absl::Status RequestAlreadyDone(std::string_view task_id);
// ALREADY_EXISTS, UNIQUE_KEY_TAKEN, with the id of the task that has the key.
absl::Status UniqueKeyTaken(std::string_view task_id);
// INVALID_ARGUMENT: none of the owner's tasks, whether it exists or not.
absl::Status UnknownDependency(std::string_view task_id);
// FAILED_PRECONDITION, DEPENDENCY_FAILED: one that has ended otherwise than SUCCEEDED.
absl::Status DependencyEnded(std::string_view task_id, TaskStatus status);

struct Submitted {
  TaskRecord task;
  bool duplicate = false;  // the request id was known: nothing was added, this is the first one's
  bool debounced = false;  // nothing was added: `task` waited already and has the new arguments
  std::optional<TaskRecord> replaced;  // the waiting one that was cancelled for this one
};

struct SessionLease {
  std::string session_id;
  absl::Time until;  // its tasks are lost when it is not renewed by then
  std::string user;  // whose token opened it; who resumes it must be the same. Kept by OpenSession
};

// A session as the store knows it, for a server that takes it over from another.
struct StoredSession {
  std::string user;
  std::vector<TaskRecord> held;  // RUNNING under it
};

// A type of task that is asked for, with its limits over all sessions and servers; 0 means none.
struct LeaseType {
  std::string name;
  int max_running_count = 0;
  int max_starts_per_minute = 0;  // a bucket that refills evenly, full at first
};

struct LeaseKey {
  std::string task_id;
  std::string session_id;
  int64_t epoch = 0;
};

struct FinishRequest {
  LeaseKey lease;
  std::variant<task_state::Success, task_state::Failure> outcome;
};

struct ProgressRequest {
  LeaseKey lease;
  int percent = 0;
  std::string message;
};

// What became of one report. `task` is set when `status` is OK.
struct Reported {
  absl::Status status;
  TaskRecord task;
  bool repeated = false;  // accepted before: nothing changed
};

struct ListQuery {
  std::string owner;
  std::optional<std::string> tenant;  // absent: whatever the tenant (administrators)
  std::vector<TaskStatus> statuses;   // empty: all
  std::string task_type;              // empty: all
  std::string after;                  // TaskPage::next of the page before; empty: from the newest
  int limit = 20;
};

struct TaskPage {
  std::vector<TaskRecord> tasks;  // newest first
  std::string next;               // empty on the last page
};

struct Cancelled {
  TaskRecord task;
  bool changed = false;    // false: it was cancelled before
  std::string session_id;  // who ran it; empty when nobody did
  int64_t epoch = 0;
};

// A lease that ended by time.
struct EndedLease {
  LeaseKey lease;
  std::string reason;  // DEADLINE_EXCEEDED or STALE_LEASE
};

struct SweepResult {
  std::vector<TaskRecord> changed;
  std::vector<EndedLease> ended_leases;
  int64_t forgotten_count = 0;
  bool more = false;  // the bound was reached: sweep again
  // What could not be done though the rest was; it is tried again by the next sweep.
  absl::Status failure;
};

// Waiting (PENDING, SCHEDULED) or dead (FAILED) tasks.
struct PurgeQuery {
  std::string task_type;              // "*" for all
  std::vector<TaskStatus> statuses;   // of PENDING, SCHEDULED and FAILED
  std::optional<std::string> tenant;  // absent: of all
  bool dry_run = false;
  int max_count = 10'000;
};

struct PurgeResult {
  int64_t purged_count = 0;
  std::vector<TaskRecord> purged;  // waiting ones as CANCELLED, without arguments; empty if dry_run
  bool more = false;
};

struct CleanupQuery {
  absl::Time finished_before = absl::InfinitePast();  // or whose result's time is over
  bool dry_run = false;
  int max_count = 10'000;
};

struct CleanupResult {
  int64_t removed_count = 0;
  bool more = false;
};

struct StoreStats {
  struct Depth {
    std::string task_type;
    TaskPriority priority;
    int64_t pending_count = 0;
    int64_t scheduled_count = 0;
    absl::Time oldest_ready_at = absl::InfiniteFuture();
  };
  std::array<int64_t, kTaskStatusCount> by_status{};
  std::vector<Depth> depths;
  std::vector<std::string> paused_task_types;
  int64_t outbox_count = 0;
  int64_t outbox_dropped_count = 0;
  int64_t held_bytes = 0;
  // Unfinished tasks of a durable store that are in this process's memory for now.
  int64_t not_durable_count = 0;
};

// What other servers of the same store did. Called from any thread; never blocks.
class StoreListener {
 public:
  virtual ~StoreListener() = default;
  virtual void OnWork() = 0;  // tasks have begun to wait
  virtual void OnEndedLease(const EndedLease& ended) = 0;
  // News may have been missed: look at everything again.
  virtual void OnGap() = 0;
};

class TaskStore {
 public:
  virtual ~TaskStore() = default;

  virtual std::string_view name() const = 0;  // "memory" or "redis"
  virtual bool durable() const = 0;

  // A new task's id from a random UUID: a store that keeps tenants apart marks it, so that the id
  // alone tells where the task is.
  virtual std::string MakeTaskId(std::string uuid, std::string_view /*owner*/,
                                 std::string_view /*tenant*/) const {
    return uuid;
  }

  // One result per task. With `all_or_nothing` either all are accepted or none. ALREADY_EXISTS,
  // reason UNIQUE_KEY_TAKEN, naming the task that has the key (with kReplace and kDebounce: that
  // runs). A dependency that does not exist or is another's: INVALID_ARGUMENT; one that has ended
  // otherwise than SUCCEEDED: FAILED_PRECONDITION, reason DEPENDENCY_FAILED. A task may depend on
  // an earlier one of the same batch; when that one turned out to be a duplicate or was debounced,
  // on the task it stands for.
  virtual Async<absl::StatusOr<std::vector<absl::StatusOr<Submitted>>>> SubmitBatch(
      std::span<const NewTask> tasks, bool all_or_nothing, absl::Time now) = 0;

  // Starts or renews sessions. For RenewSessions one answer each: false when the session is gone.
  virtual Async<absl::Status> OpenSession(SessionLease session, absl::Time now) = 0;
  virtual Async<absl::StatusOr<std::vector<bool>>> RenewSessions(
      std::span<const SessionLease> sessions, absl::Time now) = 0;

  // A session that this server has not opened, with what it holds. NOT_FOUND when it is gone.
  virtual Async<absl::StatusOr<StoredSession>> FindSession(std::string_view session_id,
                                                           absl::Time now) = 0;

  // Up to `max_count` waiting tasks of these types, in the order they are to be started: tenants
  // in turn, within a tenant by priority with aging; within the types' limits, and of a tenant's
  // tasks with one concurrency key one at a time. NOT_FOUND when the session is gone.
  virtual Async<absl::StatusOr<std::vector<TaskRecord>>> LeaseBatch(
      std::string_view session_id, std::span<const LeaseType> types, int max_count,
      absl::Time now) = 0;

  virtual Async<absl::StatusOr<std::vector<Reported>>> FinishBatch(
      std::span<const FinishRequest> requests, absl::Time now) = 0;
  virtual Async<absl::StatusOr<std::vector<Reported>>> ProgressBatch(
      std::span<const ProgressRequest> requests, absl::Time now) = 0;
  virtual Async<absl::StatusOr<std::vector<Reported>>> ReleaseBatch(
      std::span<const LeaseKey> leases, absl::Time now) = 0;

  virtual Async<absl::StatusOr<TaskRecord>> Get(std::string_view task_id) = 0;
  // One per id; nullopt for an unknown one.
  virtual Async<absl::StatusOr<std::vector<std::optional<TaskRecord>>>> BulkGet(
      std::span<const std::string> task_ids) = 0;
  virtual Async<absl::StatusOr<TaskPage>> ListByOwner(const ListQuery& query) = 0;

  virtual Async<absl::StatusOr<Cancelled>> Cancel(std::string_view task_id, std::string message,
                                                  absl::Time now) = 0;
  virtual Async<absl::StatusOr<TaskRecord>> Restart(std::string_view task_id, absl::Time now) = 0;

  // What time alone does: expired sessions, due and expired tasks, attempts over their deadline,
  // results whose time is over. At most `max_count` changes. `jitter` as in task_state::Failure.
  virtual Async<absl::StatusOr<SweepResult>> Sweep(absl::Time now, int max_count,
                                                   double jitter) = 0;
  // A part of the store may be this process's own, and serve while the rest is away: Sweep leaves
  // that out, and SweepHere does the same for it alone. It is never UNAVAILABLE.
  virtual bool has_part_here() const { return false; }
  virtual Async<SweepResult> SweepHere(absl::Time /*now*/, int /*max_count*/, double /*jitter*/) {
    co_return SweepResult{};
  }
  virtual Async<absl::StatusOr<CleanupResult>> Cleanup(const CleanupQuery& query,
                                                       absl::Time now) = 0;
  // Removes tasks; a waiting one is CANCELLED for its owner and for those that depend on it.
  virtual Async<absl::StatusOr<PurgeResult>> Purge(const PurgeQuery& query, absl::Time now) = 0;

  // Tasks of a paused type ("*": of all) are not leased. Answers all that are paused.
  virtual Async<absl::StatusOr<std::vector<std::string>>> SetPaused(std::string_view task_type,
                                                                    bool paused) = 0;
  virtual Async<absl::StatusOr<StoreStats>> Stats() = 0;

  // The outbox has so many parts, numbered from 0; a user's events are all in one. A part is
  // forwarded by one server at a time: UNAVAILABLE, reason OUTBOX_TAKEN, while another does.
  virtual int outbox_part_count() const { return 1; }
  // The oldest entries after `after_sequence`, in order; they stay until acknowledged.
  virtual Async<absl::StatusOr<std::vector<OutboxEntry>>> ReadOutbox(int part,
                                                                     int64_t after_sequence,
                                                                     int max_count) = 0;
  // Forgets all entries up to and with this one.
  virtual Async<absl::Status> AckOutbox(int part, int64_t up_to_sequence) = 0;

  // --- what servers of one store share. A store of one server has no use for any of it.

  // From now until it is called with null. Not while another call is under way.
  virtual void SetListener(StoreListener* /*listener*/) {}
  // Tells the other servers that a lease has ended; the one with its worker cancels it.
  virtual void AnnounceEndedLease(const EndedLease& /*ended*/) {}
  // Small documents by (kind, name), such as task types and servers' figures; gone after `ttl`
  // unless saved again. At most 64 KiB each.
  virtual Async<absl::Status> SaveShared(std::string_view kind, std::string_view name,
                                         std::string document, absl::Duration ttl) = 0;
  virtual Async<absl::StatusOr<std::vector<std::pair<std::string, std::string>>>> LoadShared(
      std::string_view kind) = 0;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_TASK_STORE_H_
