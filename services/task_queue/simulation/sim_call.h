// One call of a client over the simulated network.
#ifndef SERVICES_TASK_QUEUE_SIMULATION_SIM_CALL_H_
#define SERVICES_TASK_QUEUE_SIMULATION_SIM_CALL_H_

#include <functional>
#include <memory>
#include <utility>

#include "libs/status/status.h"
#include "services/task_queue/simulation/sim_server.h"

namespace slipstream::task_queue::simulation {

inline constexpr absl::Duration kCallTimeout = absl::Seconds(2);

// `make(engine)` is the coroutine to run on the server, null for none. `done` hears the result
// once: the server's, or UNAVAILABLE when it is lost, late or dead.
template <class R, class Make>
void SimulateCall(Scheduler& scheduler, Faults& faults, SimServer* server, Make make,
                  std::function<void(R)> done) {
  auto answered = std::make_shared<bool>(false);
  const auto answer = [answered, done = std::move(done)](R result) {
    if (std::exchange(*answered, true)) return;
    done(std::move(result));
  };
  scheduler.After(kWorld, kCallTimeout,
                  [answer] { answer(absl::UnavailableError("no answer in time")); });
  if (server == nullptr) return;
  const auto way = [&scheduler] {
    return scheduler.Between(absl::Microseconds(50), absl::Milliseconds(3));
  };
  scheduler.After(server->owner(), way(), [=, &scheduler, &faults] {
    scheduler.Spawn(make(server->engine()), [=, &scheduler, &faults](R result) {
      if (faults.Strikes(Fault::kClientLostReply, 0.15)) return;
      scheduler.After(kWorld, way(), [=] { answer(result); });
    });
  });
}

}  // namespace slipstream::task_queue::simulation

#endif  // SERVICES_TASK_QUEUE_SIMULATION_SIM_CALL_H_
