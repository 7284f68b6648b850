// SimWorker: a worker process: the real WorkerSession (what a worker holds and owes) around
// handlers that take a while and then succeed, fail, hand back or do not listen.
//
// Thread safety: none.
#ifndef SERVICES_TASK_QUEUE_SIMULATION_SIM_WORKER_H_
#define SERVICES_TASK_QUEUE_SIMULATION_SIM_WORKER_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libs/client/worker/worker_session.h"
#include "services/task_queue/simulation/sim_server.h"
#include "services/task_queue/simulation/sim_stream.h"

namespace slipstream::task_queue::simulation {

inline constexpr char kWorkerUser[] = "worker-service";

class SimWorker final : public SimStream::WorkerEnd {
 public:
  struct Deps {
    const Settings& settings;
    Scheduler& scheduler;
    Faults& faults;
    Trace& trace;
    Oracle& oracle;
    std::vector<std::unique_ptr<SimServer>>& servers;
  };
  SimWorker(Deps deps, int number);

  void Start();
  void Crash();
  void Pause(absl::Duration duration);
  void BreakStream(bool server_hears);

  bool up() const { return session_ != nullptr; }
  bool online() const { return up() && session_->online(); }
  int number() const { return number_; }
  const std::shared_ptr<SimStream>& stream() const { return stream_; }
  // It works on this lease and has not been told to stop, although nothing kept the word from it
  // since then.
  bool UnawareSince(const std::string& task_id, int64_t epoch, absl::Time since) const;
  // It is on this stream for long and knows nothing of the lease.
  bool Without(const std::string& session_id, const std::string& task_id, int64_t epoch) const;
  int busy_count() const { return static_cast<int>(handlers_.size()); }

  void OnResponse(const std::shared_ptr<SimStream>& stream, WorkResponse response) override;
  void OnGone(const std::shared_ptr<SimStream>& stream) override;

 private:
  using Key = worker_client::LeaseKey;
  struct Handler {
    WorkRequest outcome;
    bool stubborn = false;
    bool stopped = false;
  };

  void Connect();
  void ConnectSoon();
  // Whatever happened: lets the session act, and wakes again when it says so.
  void Pump();
  void StartHandler(const WorkResponse::Assignment& assignment);
  void StopHandler(const Key& key);
  void EndHandler(const Key& key);
  void Send(WorkRequest request);
  WorkRequest OutcomeOf(const Key& key);
  // Now, or when its pause is over.
  void Do(std::function<void()> act);
  void After(absl::Duration delay, std::function<void()> act);
  absl::Duration mono() const { return deps_.scheduler.clock().Monotonic(); }

  const Deps deps_;
  const int number_;
  worker_client::WorkerSession::Options options_;
  Owner owner_ = kWorld;
  std::unique_ptr<worker_client::WorkerSession> session_;
  std::shared_ptr<SimStream> stream_;
  std::map<Key, Handler> handlers_;
  absl::Duration wake_at_ = absl::InfiniteDuration();
  bool paused_ = false;
  absl::Time calm_since_ = absl::InfinitePast();
  std::vector<std::function<void()>> deferred_;
};

}  // namespace slipstream::task_queue::simulation

#endif  // SERVICES_TASK_QUEUE_SIMULATION_SIM_WORKER_H_
