// SimClients: users and an administrator who submit, cancel, restart, read and manage, over calls
// that may be lost either way, to whichever server answers.
//
// Thread safety: none.
#ifndef SERVICES_TASK_QUEUE_SIMULATION_SIM_CLIENTS_H_
#define SERVICES_TASK_QUEUE_SIMULATION_SIM_CLIENTS_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "services/task_queue/simulation/sim_call.h"
#include "services/task_queue/simulation/sim_server.h"
#include "services/task_queue/simulation/sim_worker.h"

namespace slipstream::task_queue::simulation {

class SimClients {
 public:
  struct Deps {
    const Settings& settings;
    Scheduler& scheduler;
    Faults& faults;
    Trace& trace;
    Oracle& oracle;
    std::vector<std::unique_ptr<SimServer>>& servers;
    std::vector<std::unique_ptr<SimWorker>>& workers;
  };
  explicit SimClients(Deps deps);

  // Acts now and then until `until`.
  void Start(absl::Time until);
  int64_t op_count() const { return op_count_; }
  // Whatever is paused goes on; tried until a server has done it.
  void ResumeAll();

 private:
  using Submits = absl::StatusOr<std::vector<absl::StatusOr<TaskRecord>>>;

  // A submit and what becomes of it: the same content and request ids are sent again when the
  // answer is lost.
  struct Order {
    Caller caller;
    std::vector<SubmitSpec> specs;
    bool all_or_nothing = false;
    int tries_count = 0;
  };

  // Makes the call on one of the servers; `done` hears its result, or UNAVAILABLE.
  template <class R, class Make>
  void Call(Make make, std::function<void(R)> done) {
    SimulateCall<R>(deps_.scheduler, deps_.faults, PickServer(), std::move(make), std::move(done));
  }
  SimServer* PickServer();

  void ActSoon();
  void Act();
  void Submit();
  void Send(std::shared_ptr<Order> order);
  void OnAnswer(const std::shared_ptr<Order>& order, const Submits& answer);
  SubmitSpec MakeSpec(const User& user);
  void AddDependencies(const User& user, size_t place, SubmitSpec& spec);
  void Cancel();
  void Restart();
  void Read();
  void SetPaused(std::string task_type, bool paused);
  void Purge();
  void Cleanup();
  Caller CallerOf(const User& user) const;
  std::string PickTask(const User& user);

  const Deps deps_;
  absl::Time until_;
  int64_t op_count_ = 0;
  int64_t last_number_ = 0;
  std::map<std::string, std::vector<std::string>> task_ids_;  // of a user, as acknowledged
  std::vector<std::shared_ptr<Order>> sent_;                  // with request ids, to be sent again
};

}  // namespace slipstream::task_queue::simulation

#endif  // SERVICES_TASK_QUEUE_SIMULATION_SIM_CLIENTS_H_
