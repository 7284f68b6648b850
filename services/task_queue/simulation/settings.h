// What one seed's world looks like: how many take part, which features they use, which faults
// strike and how often. All of it follows from the seed.
//
// Each seed has a random part of the features and faults only ("swarm testing", Groce et al.,
// 2012): a rare interplay of two shows sooner when the other twenty are away.
//
// Thread safety: plain values.
#ifndef SERVICES_TASK_QUEUE_SIMULATION_SETTINGS_H_
#define SERVICES_TASK_QUEUE_SIMULATION_SETTINGS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "services/task_queue/task_state.h"
#include "services/task_queue/worker_sessions.h"

namespace slipstream::task_queue::simulation {

enum class Fault {
  kWorkerCrash,       // loses all that it holds and owes
  kWorkerPause,       // says and hears nothing for a while, then goes on as if nothing had been
  kStreamBreak,       // both ends notice at different times, what is on its way is lost
  kDuplicateReport,   // a report arrives again, at once or seconds later
  kForgedReport,      // a report with an epoch that its sender does not hold
  kStolenSession,     // another user's hello names the session
  kLostRequest,       // the store never saw the call
  kLostReply,         // the store did it, and its caller does not learn of it
  kClientLostReply,   // the queue did it, and the client does not learn of it
  kStoreAway,         // for a while
  kServerCrash,       // all that it had in memory is gone
  kServerDrain,       // says so to its workers, then ends
  kClockSkew,         // a server's wall clock jumps
  kSlowTask,          // runs beyond its deadline
  kStubbornTask,      // does not stop when told
  kForwarderCrash,    // between publish and acknowledgement
  kDuplicatePublish,  // the receiver gets the events twice
  kPublisherAway,     // the receiver refuses, having taken none, some or all
  kLostNews,          // what servers tell one another does not arrive; they hear of the gap
};
inline constexpr size_t kFaultCount = static_cast<size_t>(Fault::kLostNews) + 1;
std::string_view FaultName(Fault fault);

struct Features {
  bool request_ids = false;
  bool bulk = false;
  bool cancels = false;
  bool restarts = false;
  bool delays = false;
  bool expiry = false;
  bool unique_keys = false;
  bool flows = false;
  bool concurrency_keys = false;
  bool limits = false;
  bool pauses = false;
  bool purges = false;
  bool cleanups = false;
  bool bursts = false;  // one tenant hands in many at once
};

struct Settings {
  explicit Settings(uint64_t seed);

  uint64_t seed;
  int server_count = 1;
  int worker_count = 2;
  int max_slots_count = 3;
  absl::Duration active = absl::Seconds(20);          // then no more submits and faults
  absl::Duration op_interval;                         // between two acts of a client, on average
  absl::Duration run_time = absl::Milliseconds(400);  // of a task, on average
  Features use;
  std::array<double, kFaultCount> rate{};  // of a fault: 0-1, what it is a rate of is up to it
  absl::Duration attempt_deadline;         // unless the submit says less
  absl::Duration max_skew;                 // of a server's clock

  // The queue's own.
  WorkerTimes times{absl::Seconds(6), absl::Seconds(2), absl::Seconds(1)};
  absl::Duration tick_period = absl::Milliseconds(200);
  absl::Duration aging_step = absl::Seconds(4);
  task_state::RetryPolicy retry{absl::Milliseconds(400), absl::Seconds(3)};

  double of(Fault fault) const { return rate[static_cast<size_t>(fault)]; }
};

// Types of the simulated workers. `kLimited` runs two at once at most, `kRated` starts at most
// kRatedPerMinute a minute; both only where Features::limits.
inline constexpr char kPlain[] = "plain";
inline constexpr char kOther[] = "other";
inline constexpr char kLimited[] = "limited";
inline constexpr char kRated[] = "rated";
inline constexpr int kLimitedRunning = 2;
inline constexpr int kRatedPerMinute = 15;

struct User {
  std::string name;
  std::string tenant;
};
const std::vector<User>& Users();

}  // namespace slipstream::task_queue::simulation

#endif  // SERVICES_TASK_QUEUE_SIMULATION_SETTINGS_H_
