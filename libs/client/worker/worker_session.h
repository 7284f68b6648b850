// What one worker holds and owes: the worker's side of the WorkerService protocol, without a
// stream, a thread or a clock. The Worker around it carries its messages and runs its handlers.
//
// The life of a task here: assigned -> (waiting for a free slot) -> running -> outcome owed ->
// gone.
//   - An outcome (success, failure, release) is owed until the queue has acknowledged it, over any
//     number of broken streams, so that finished work is not done twice.
//   - A task is *muted* once its lease is gone: it is told to stop, and what it still reports is
//     dropped. It keeps its slot until its handler has returned.
//   - Progress is conflated: the latest per task, no more often than Options::progress_interval.
//
// Times are of one monotonic clock, passed in. Thread safety: none, the owner locks. Nothing fails:
// what the server says that makes no sense is ignored.
#ifndef LIBS_CLIENT_WORKER_WORKER_SESSION_H_
#define LIBS_CLIENT_WORKER_WORKER_SESSION_H_

#include <compare>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "slipstream/task_queue/v1/task_type.pb.h"
#include "slipstream/task_queue/v1/worker.pb.h"

namespace slipstream::worker_client {

// One lease of one task: the same task may come again with a higher epoch while the handler of its
// lost lease still winds down.
struct LeaseKey {
  std::string task_id;
  int64_t epoch = 0;
  auto operator<=>(const LeaseKey&) const = default;
};
// The same in every run, which a replayed simulation needs.
struct LeaseKeyHash {
  size_t operator()(const LeaseKey& key) const {
    return std::hash<std::string>()(key.task_id) ^ static_cast<size_t>(key.epoch);
  }
};

// Since the worker was made.
struct WorkerStats {
  bool connected = false;  // welcomed by the queue
  int running_count = 0;   // handlers that have not returned
  int waiting_count = 0;   // assigned beyond the slots
  int unacked_count = 0;   // outcomes owed
  int64_t assigned_total = 0;
  int64_t succeeded_total = 0;  // acknowledged
  int64_t failed_total = 0;     // acknowledged
  int64_t released_total = 0;   // acknowledged
  int64_t cancelled_total = 0;  // told to stop by the queue
  int64_t stale_total = 0;      // reports refused because their lease had ended
  int64_t refused_total = 0;    // reports refused for another reason
  int64_t lost_total = 0;       // leases gone after a broken stream
  int64_t sessions_total = 0;   // welcomes
  int64_t resumed_total = 0;    // of which went on with their leases
};

// Assignments kept beyond the slots: at most as many again, more are handed back.
// Outcomes owed at most before no new task is started.
inline constexpr int kMaxOwedCount = 4096;
// The queue ends an attempt at its deadline; a worker that hears nothing of it does so by itself
// after this much more, since clocks differ.
inline constexpr absl::Duration kDeadlineLeeway = absl::Seconds(1);
// A server that answers heartbeats, of which two are sent per interval, is silent after so many
// intervals without any message.
inline constexpr int kSilentIntervalsCount = 2;
inline constexpr int kMaxBatchCount = 256;
inline constexpr size_t kMaxBatchBytes = 1 << 20;
inline constexpr int kMaxHeldCount = 10000;

class WorkerSession {
 public:
  struct Options {
    std::string name;
    std::vector<task_queue::v1::TaskType> types;
    int slots = 4;
    absl::Duration progress_interval = absl::Milliseconds(100);
    // A stream whose hello is not answered within this is given up.
    absl::Duration welcome_timeout = absl::Seconds(5);
    // How long a drain waits, after its deadline, for the queue to take back what is handed back.
    absl::Duration hand_back_timeout = absl::Seconds(2);
  };
  using WorkRequest = task_queue::v1::WorkRequest;
  using WorkResponse = task_queue::v1::WorkResponse;

  // A report that did not count, or a lease that is gone; for the log.
  struct Refusal {
    LeaseKey key;
    absl::Status error;
  };
  // Part of the message that it came in, which it keeps; of a task that waited, a copy.
  using AssignmentPtr = std::shared_ptr<const WorkResponse::Assignment>;
  // What became of an attempt, as it travels: serialized once, however often it is sent.
  struct Outcome {
    Outcome(const WorkRequest& request)  // NOLINT: a success, a failure or a release is one
        : kind(request.message_case()), bytes(request.SerializeAsString()) {}
    WorkRequest::MessageCase kind;
    std::string bytes;
  };
  // What the owner does to handlers, in this order.
  struct TaskActions {
    std::vector<std::pair<LeaseKey, std::string>> stop;  // with the reason
    std::vector<AssignmentPtr> start;
    std::vector<Refusal> refusals;
  };
  // What the owner does to the stream, in this order.
  struct StreamActions {
    std::vector<std::string> send;  // serialized WorkRequests
    bool finish = false;            // nothing more to say on this stream
  };

  explicit WorkerSession(Options options);

  // A stream was opened: the message it begins with.
  WorkRequest Hello(absl::Duration now);
  // `wall` is what the deadlines of assignments are compared with.
  void OnResponse(std::shared_ptr<const WorkResponse> response, absl::Duration now,
                  absl::Time wall);
  void OnDisconnected();

  // From the handler. A report about a lease that is not held is dropped.
  void Progress(const LeaseKey& key, int percent, std::string_view message);
  // The handler has returned.
  void Finish(const LeaseKey& key, Outcome outcome);

  // No new tasks; what runs may end until `deadline` and is handed back then.
  void Drain(absl::Duration deadline);
  // Nothing is held or owed any more, or the time for it is over.
  bool Drained(absl::Duration now) const;

  TaskActions TakeTaskActions(absl::Duration now);
  StreamActions TakeStreamActions(absl::Duration now);
  // When to take again although nothing happened; InfiniteDuration for never.
  absl::Duration NextDue() const;
  // When the stream is of no use unless something is heard on it before; InfiniteDuration for
  // never. Then its owner ends it: a server that stands still is left before the session's leases
  // end.
  absl::Duration GiveUpAt() const;

  bool online() const { return state_ == State::kOnline; }
  const std::string& session_id() const { return session_id_; }
  WorkerStats stats() const;

 private:
  enum class State { kOffline, kGreeting, kOnline };
  struct Report {
    int percent = 0;
    std::string message;
    absl::Duration last_sent = -absl::InfiniteDuration();
  };
  struct Lease {
    bool waiting = false;  // for a free slot
    bool running = false;  // its handler has not returned
    bool muted = false;    // the queue wants no report of it
    std::optional<Outcome> outcome;
    bool sent = false;                                   // the outcome, on this stream
    absl::Duration deadline = absl::InfiniteDuration();  // with `serial` its entry in deadlines_
    uint64_t serial = 0;
    Report report;
  };
  using Leases = std::unordered_map<LeaseKey, Lease, LeaseKeyHash>;

  // `response` is `whole`, or one of its batch.
  void OnOne(const std::shared_ptr<const WorkResponse>& whole, const WorkResponse& response,
             absl::Duration now, absl::Time wall);
  void OnWelcome(const WorkResponse::Welcome& welcome, absl::Duration now);
  void OnAssignment(AssignmentPtr assignment, absl::Duration now, absl::Time wall);
  void OnCancel(const WorkResponse::Cancel& cancel);
  void OnAck(const WorkResponse::Ack& ack);
  void OnOutcomeAck(Leases::iterator it, const WorkResponse::Ack& ack);
  void StartWaiting();
  // Ends the lease on this side: a waiting task goes, a running one is muted and told to stop.
  void Mute(Leases::iterator it, std::string_view reason);
  void Owe(Leases::iterator it, Outcome outcome);
  // The outcome is off our hands.
  void Settle(Leases::iterator it);
  void EraseIfDone(Leases::iterator it);
  void StopOverdue(absl::Duration now);
  void HandBackRunning();
  void CollectOutcomes(std::vector<std::string>* out);
  void CollectProgress(absl::Duration now, std::vector<std::string>* out);
  static std::string ProgressOf(const LeaseKey& key, const Report& report);
  bool Holds() const;
  int FreeSlots() const;

  const Options options_;
  State state_ = State::kOffline;
  std::string session_id_;
  absl::Duration welcome_by_;
  absl::Duration heartbeat_interval_ = absl::Seconds(1);
  bool acks_heartbeats_ = false;
  absl::Duration last_heard_;
  absl::Duration next_heartbeat_;
  bool slots_changed_ = false;
  bool said_none_ = false;   // the last slots sent were 0, so the queue waits for others
  bool overflowed_ = false;  // an assignment had to wait
  bool server_drains_ = false;
  bool finished_ = false;  // this stream, by us
  std::optional<absl::Duration> drain_deadline_;
  bool handed_back_ = false;

  Leases leases_;
  std::deque<AssignmentPtr> waiting_;  // copies: none of them keeps a whole batch
  std::deque<LeaseKey> unsent_;        // outcomes to send on this stream
  std::set<LeaseKey> reported_;        // leases with progress to send
  uint64_t next_serial_ = 0;
  std::map<std::pair<absl::Duration, uint64_t>, const LeaseKey*> deadlines_;  // keys of leases_
  int running_count_ = 0;
  int owed_count_ = 0;

  TaskActions task_actions_;
  WorkerStats stats_;
};

}  // namespace slipstream::worker_client

#endif  // LIBS_CLIENT_WORKER_WORKER_SESSION_H_
