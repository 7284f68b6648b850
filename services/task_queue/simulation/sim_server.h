// SimServer: one process of the task queue: the real engine, sessions and forwarder, the loops of
// its module as events of the simulated time, and the worker streams it serves.
//
// A crash drops all of them where they are; a start makes new ones.
//
// Thread safety: none.
#ifndef SERVICES_TASK_QUEUE_SIMULATION_SIM_SERVER_H_
#define SERVICES_TASK_QUEUE_SIMULATION_SIM_SERVER_H_

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "services/task_queue/outbox_forwarder.h"
#include "services/task_queue/shared_task_types.h"
#include "services/task_queue/simulation/faulty_store.h"
#include "services/task_queue/simulation/sim_publisher.h"
#include "services/task_queue/simulation/sim_stream.h"
#include "services/task_queue/task_queue_engine.h"

namespace slipstream::task_queue::simulation {

// The world's clock with an offset of its own.
class SkewedClock final : public clock::Clock {
 public:
  explicit SkewedClock(const clock::FakeClock& base) : base_(base) {}
  absl::Time Now() const override { return base_.Now() + offset_; }
  absl::Duration Monotonic() const override { return base_.Monotonic(); }
  void SetOffset(absl::Duration offset) { offset_ = offset; }

 private:
  const clock::FakeClock& base_;
  absl::Duration offset_;
};

class SimServer final : public SimStream::ServerEnd {
 public:
  struct Deps {
    const Settings& settings;
    Scheduler& scheduler;
    Faults& faults;
    Trace& trace;
    Oracle& oracle;
    News& news;
    TaskStore& store;
    const QueueSeries& series;
  };
  SimServer(Deps deps, int number);
  ~SimServer() override { Crash(); }

  void Start();
  void Crash();
  // Says so to its workers; the caller crashes it when the grace is over.
  void BeginDrain(absl::Duration grace);
  void CrashForwarder();
  void JumpClock();
  // Its loops look at their signals.
  void Poll();

  bool up() const { return parts_ != nullptr; }
  bool accepts() const { return up() && !draining_; }
  int number() const { return number_; }
  Owner owner() const { return owner_; }
  TaskQueueEngine& engine() { return parts_->engine; }
  WorkerSessions& sessions() { return parts_->sessions; }
  TaskQueueEngine* engine_if_up() { return up() ? &parts_->engine : nullptr; }
  int64_t failed_calls_count() const { return parts_->store.failed_count(); }
  // Streams that have been welcomed.
  std::vector<std::shared_ptr<SimStream>> streams() const;

  void OnRequest(const std::shared_ptr<SimStream>& stream, WorkRequest request) override;
  void OnGone(const std::shared_ptr<SimStream>& stream) override;

 private:
  struct Parts {
    Parts(SimServer& server);
    FaultyStore store;
    TaskTypeRegistry registry;
    SharedTaskTypes types;
    QueueFigures figures;
    TaskSignals signals;
    WorkerSessions sessions;
    TaskQueueEngine engine;
  };
  // Apart, because it dies alone.
  struct Forwarding {
    Forwarding(SimServer& server, Owner owner);
    const Owner owner;
    FaultyStore store;
    SimPublisher publisher;
    OutboxForwarder forwarder;
  };
  struct Conversation {
    std::deque<WorkRequest> inbox;
    bool greeted = false;
    bool busy = false;
    bool gone = false;
  };

  void TickSoon();
  void PollSoon();
  void LoadTypes();
  void Dispatch();
  void Forward();
  void StartForwarding();

  // --- a worker's stream (sim_server_streams.cc)
  void Next(const std::shared_ptr<SimStream>& stream);
  void Finish(const std::shared_ptr<SimStream>& stream);
  Async<absl::Status> Greet(std::shared_ptr<SimStream> stream, WorkRequest request);
  Async<absl::Status> Handle(std::shared_ptr<SimStream> stream, WorkRequest request);
  Async<absl::Status> HandleReports(std::shared_ptr<SimStream> stream,
                                    std::vector<WorkerReport> reports);

  const Deps deps_;
  const int number_;
  SkewedClock clock_;
  Owner owner_ = kWorld;
  std::unique_ptr<Parts> parts_;
  std::unique_ptr<Forwarding> forwarding_;
  std::map<std::shared_ptr<SimStream>, Conversation, SimStream::Older> conversations_;
  bool draining_ = false;
  bool dispatching_ = false;
  bool forwarding_now_ = false;
  uint64_t seen_work_ = 0;
  uint64_t seen_outbox_ = 0;
};

}  // namespace slipstream::task_queue::simulation

#endif  // SERVICES_TASK_QUEUE_SIMULATION_SIM_SERVER_H_
