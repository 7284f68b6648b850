// World: the parts of one run, and the faults that come from outside of them.
//
// Thread safety: none.
#ifndef SERVICES_TASK_QUEUE_SIMULATION_WORLD_H_
#define SERVICES_TASK_QUEUE_SIMULATION_WORLD_H_

#include <memory>
#include <vector>

#include "services/task_queue/simulation/sim_clients.h"
#include "services/task_queue/simulation/sim_server.h"
#include "services/task_queue/simulation/sim_worker.h"
#include "services/task_queue/simulation/simulation.h"

namespace slipstream::task_queue::simulation {

class World {
 public:
  World(const RunOptions& options, const StoreFactory& factory, const QueueSeries& series);
  Outcome Run();

 private:
  // One event and what follows from it.
  bool Step();
  void RunFor(absl::Duration duration);
  void Audit(bool at_end);
  bool AllAtRest() const;
  // A lease that its own worker knows nothing of goes back, too.
  void CheckOrphans();
  // The worker must hear of the cancel soon, if it and the server that did it stay as they are.
  void ExpectTold(Owner server, const Cancelled& cancelled);

  // --- faults from outside (world_faults.cc)
  void FaultSoon();
  void MakeFault();
  void StoreGoesAway();
  void CrashServer(SimServer& server);
  void DrainServer(SimServer& server);
  void StealSession();
  void ForgeReport();
  void EndFaults();

  const Settings settings_;
  Scheduler scheduler_;
  Trace trace_;
  Faults faults_{settings_, scheduler_, trace_};
  Oracle oracle_{{settings_, scheduler_, faults_, trace_}};
  News news_{scheduler_, faults_};
  const std::unique_ptr<TaskStore> store_;
  std::vector<std::unique_ptr<SimServer>> servers_;
  std::vector<std::unique_ptr<SimWorker>> workers_;
  SimClients clients_;
  std::map<std::pair<std::string, int64_t>, absl::Time> orphans_;  // lease -> since when
};

}  // namespace slipstream::task_queue::simulation

#endif  // SERVICES_TASK_QUEUE_SIMULATION_WORLD_H_
