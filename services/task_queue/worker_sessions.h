// WorkerSessions: who works here, what each worker holds, and what it is given next.
//
// A session begins with a hello and lives on while its worker sends heartbeats. When its stream
// breaks it has the grace time to come back and name itself; then its tasks go to others. The
// store decides who holds a lease (by session and epoch); this class knows the streams, the free
// slots and what was sent, so nothing here can make a stale report count. So a worker may resume
// its session at any server of the store: what it holds is read from there.
//
// While the store is away (UNAVAILABLE) no session ends: heartbeats are taken, and reports are
// refused with UNAVAILABLE for the caller to repeat.
//
// Order of messages to one worker: an assignment is always sent before its cancel.
//
// Thread safety: all methods from any thread, except that one Dispatch runs at a time.
// Errors: NOT_FOUND, reason SESSION_NOT_FOUND, for a session that has ended; INVALID_ARGUMENT for
// a wrong hello; UNAVAILABLE while draining.
#ifndef SERVICES_TASK_QUEUE_WORKER_SESSIONS_H_
#define SERVICES_TASK_QUEUE_WORKER_SESSIONS_H_

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/random/random.h"
#include "libs/sync/mutex.h"
#include "services/task_queue/queue_figures.h"
#include "services/task_queue/task_signals.h"
#include "services/task_queue/task_store.h"
#include "services/task_queue/task_type_registry.h"

namespace slipstream::task_queue {

class ArgsCipher;
class SharedTaskTypes;

inline constexpr int kMaxSlotsCount = 10'000;
inline constexpr int kMaxSessionsCount = 1'000;
// Tasks given to one worker at a time; with several workers at most half of its free slots, so that
// one does not take what others could start now.
inline constexpr int kMaxLeaseBatchCount = 256;

struct WorkerTimes {
  absl::Duration lease = absl::Seconds(4);
  absl::Duration heartbeat_interval = absl::Seconds(1);
  absl::Duration grace = absl::Seconds(2);
};

// The sending half of a worker's stream. Nothing here waits; what can't be sent is lost with its
// stream. Called under no lock.
class WorkerSink {
 public:
  virtual ~WorkerSink() = default;
  virtual bool Assign(const std::vector<TaskRecord>& tasks) = 0;  // false: the stream is gone
  virtual void Cancel(const LeaseKey& lease, std::string_view reason) = 0;
  virtual void Drain(absl::Duration grace) = 0;
  virtual void Close() = 0;  // ends the stream
};

struct Hello {
  std::string user;  // whose token opened the stream
  std::string worker_name;
  std::vector<v1::TaskType> task_types;
  int slots = 0;
  std::string session_id;                             // to resume; empty for a new one
  std::vector<std::pair<std::string, int64_t>> held;  // task id, epoch
};

struct Welcome {
  std::string session_id;
  bool resumed = false;
  std::vector<std::string> lost_task_ids;
};

struct ReportedProgress {
  int percent = 0;
  std::string message;
};
struct ReportedRelease {};

struct WorkerReport {
  std::string task_id;
  int64_t epoch = 0;
  std::variant<ReportedProgress, task_state::Success, task_state::Failure, ReportedRelease> what;
};

struct SessionInfo {
  std::string session_id;
  std::string worker_name;
  std::vector<std::string> task_types;
  int slots = 0;
  std::vector<std::string> task_ids;
  int held_count = 0;
  absl::Time connected_at;
  absl::Time last_heartbeat_at;
  bool draining = false;  // it has said that it takes no more
};

class WorkerSessions {
 public:
  struct Deps {
    TaskStore& store;
    const clock::Clock& clock;
    random::Random& random;
    TaskTypeRegistry& registry;
    QueueFigures& figures;
    TaskSignals& signals;
    logging::Logger logger;
    const ArgsCipher* args = nullptr;         // null: types with sensitive arguments are refused
    SharedTaskTypes* shared_types = nullptr;  // null: types are known here alone
  };
  WorkerSessions(Deps deps, WorkerTimes times) : deps_(std::move(deps)), times_(times) {}

  Async<absl::StatusOr<Welcome>> Connect(Hello hello, std::shared_ptr<WorkerSink> sink);
  // The stream is gone; starts the grace time unless another stream has taken the session over.
  Async<void> Disconnect(std::string session_id, const WorkerSink* sink);
  Async<absl::Status> Heartbeat(std::string session_id);
  // Tasks that the worker takes in addition to those it holds.
  void SetFreeSlots(const std::string& session_id, int free_slots);
  // In order; one result each. UNAVAILABLE: this one has not been handed in, nor have those of its
  // task after it; those of other tasks may have been. The reports live until it is done.
  Async<std::vector<absl::Status>> Report(std::string session_id,
                                          std::span<const WorkerReport> reports);

  // Gives waiting tasks to free slots; how many.
  Async<int> Dispatch();
  // The lease has ended in the store: tells its worker and frees the slot. False: its worker is not
  // connected here.
  bool EndLease(const LeaseKey& lease, std::string_view reason);
  // After the store was away: takes up again the sessions that it has ended meanwhile, as long as
  // nobody has taken their tasks.
  Async<absl::Status> Reopen();
  // Hands back what the store has leased to sessions here and nobody here knows of: the answer to a
  // lease was lost, or another server leased to a session that had already come here.
  Async<absl::Status> Reclaim();
  // After news may have been missed: ends the leases here that the store has ended.
  Async<absl::Status> Recheck();
  // Ends sessions whose grace or heartbeat time is over. The store's sweep frees their tasks.
  void ExpireSessions();

  // From now on nothing is assigned; every worker is told.
  void BeginDrain(absl::Duration grace);
  void CloseAll();

  std::vector<SessionInfo> Infos() const;  // connected ones
  int WorkerCount(const std::string& task_type) const;
  int connected_count() const;
  int held_count() const;
  int free_count() const;

 private:
  struct Held {
    int64_t epoch = 0;
    bool assigned = false;      // the assignment has been sent
    std::string cancel_reason;  // came in before it was
  };
  struct Session {
    std::string user;
    std::string worker_name;
    std::vector<std::string> task_types;
    int slots = 0;
    std::shared_ptr<const std::vector<LeaseType>> lease_types;  // as of types_version
    uint64_t types_version = 0;                                 // of the registry
    // Not one of Abseil, whose order differs in every run: a replayed simulation needs the same.
    std::unordered_map<std::string, Held> held;
    std::shared_ptr<WorkerSink> sink;  // null while disconnected
    uint64_t stream_number = 0;        // grows with each stream
    bool leasing = false;              // a LeaseBatch is on its way
    bool takes_no_more = false;        // its last Slots said 0: nothing until it says another
    std::set<std::pair<std::string, int64_t>> ended_while_leasing;
    absl::Time connected_at;
    absl::Time last_heartbeat_at;
    absl::Time until;  // when it ends unless renewed

    int free() const {
      return takes_no_more ? 0 : std::max(0, slots - static_cast<int>(held.size()));
    }
  };

  absl::Status CheckHello(const Hello& hello) const;
  absl::Status CheckRoom() const;
  void WarnOfSensitive(const Hello& hello) const;
  Async<absl::StatusOr<bool>> Resume(const Hello& hello, std::shared_ptr<WorkerSink> sink,
                                     Welcome& welcome);
  void TakeStream(const Hello& hello, std::shared_ptr<WorkerSink> sink, absl::Time now,
                  Session& session) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  struct LeaseAsked {
    std::shared_ptr<const std::vector<LeaseType>> types;
    int max_count = 0;
    uint64_t stream_number = 0;
  };
  struct Given {
    int count = 0;
    bool filled = false;  // as many as asked for: more may wait
  };
  std::vector<std::string> DispatchOrder();
  std::optional<LeaseAsked> BeginLease(const std::string& session_id, bool alone);
  std::shared_ptr<WorkerSink> TakeLeased(const std::string& session_id, uint64_t stream_number,
                                         std::vector<TaskRecord>& tasks,
                                         std::vector<LeaseKey>& orphans);
  Async<Given> DispatchTo(std::string session_id, bool alone);
  Async<bool> Assign(const std::string& session_id, std::shared_ptr<WorkerSink> sink,
                     std::vector<TaskRecord> tasks);
  Async<void> DecryptArgs(const std::string& session_id, std::vector<TaskRecord>& tasks);
  Async<void> HandBack(std::vector<LeaseKey> leases);
  // The store may hold leases of this session that are not known here: Reclaim looks.
  void ReclaimLater(const std::string& session_id, absl::Duration delay);
  Async<std::vector<absl::Status>> ReportRun(const std::string& session_id,
                                             std::span<const WorkerReport> run);
  Async<absl::StatusOr<std::vector<Reported>>> Store(const std::string& session_id,
                                                     std::span<const WorkerReport> run,
                                                     absl::Time now);
  // Leases that the session is taken to hold no more although the store may have them as its: a
  // refused report may name the very lease that was granted after the refusal.
  std::vector<LeaseKey> Settle(const std::string& session_id, std::span<const WorkerReport> run,
                               std::vector<Reported>& results, absl::Time now);
  void KeepAlive(const std::string& session_id, absl::Time now);

  const Deps deps_;
  const WorkerTimes times_;
  mutable sync::Mutex mu_;
  std::map<std::string, Session> sessions_ ABSL_GUARDED_BY(mu_);
  // When Reclaim looks at which session; bounded by the resumes and failed leases of a lease's
  // time.
  std::set<std::pair<absl::Time, std::string>> to_reclaim_ ABSL_GUARDED_BY(mu_);
  std::string next_session_ ABSL_GUARDED_BY(mu_);  // where the next dispatch begins
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_WORKER_SESSIONS_H_
