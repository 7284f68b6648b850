// One seed's run: a world of clients, workers and servers over one store, with faults, then a
// quiet time in which everything must come to its end.
//
// Thread safety: none; two runs share nothing, and a run with the same seed and store is the same
// to the last step.
#ifndef SERVICES_TASK_QUEUE_SIMULATION_SIMULATION_H_
#define SERVICES_TASK_QUEUE_SIMULATION_SIMULATION_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "services/task_queue/simulation/faults.h"
#include "services/task_queue/simulation/oracle.h"
#include "services/task_queue/simulation/settings.h"
#include "services/task_queue/task_queue_metrics.h"
#include "services/task_queue/task_store.h"

namespace slipstream::task_queue::simulation {

// An empty store with the settings' aging and retry policy. A real one runs its coroutines on
// `executor`.
using StoreFactory =
    std::function<std::unique_ptr<TaskStore>(const Settings& settings, Executor executor)>;
std::unique_ptr<TaskStore> MakeMemoryStore(const Settings& settings, Executor executor);

struct Outcome {
  bool passed = true;
  std::string invariant;
  std::string violation;
  std::deque<std::string> last_steps;  // when `trace` was asked for
  int64_t step_count = 0;
  int64_t op_count = 0;
  absl::Duration simulated;
  Faults::Counts faults{};
  Oracle::Counts counts;
};

struct RunOptions {
  uint64_t seed = 0;
  bool trace = false;
  bool verbose = false;  // prints each step; implies trace
};

// `series`: shared by all runs, since making them costs more than a run.
Outcome RunSeed(const RunOptions& options, const StoreFactory& factory, const QueueSeries& series);

}  // namespace slipstream::task_queue::simulation

#endif  // SERVICES_TASK_QUEUE_SIMULATION_SIMULATION_H_
