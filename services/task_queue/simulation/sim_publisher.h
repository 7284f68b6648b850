// SimPublisher: the receiver of events, and the way to it: it may be away, take a part, or get
// things twice.
//
// Thread safety: none.
#ifndef SERVICES_TASK_QUEUE_SIMULATION_SIM_PUBLISHER_H_
#define SERVICES_TASK_QUEUE_SIMULATION_SIM_PUBLISHER_H_

#include "services/task_queue/event_publisher.h"
#include "services/task_queue/simulation/faults.h"
#include "services/task_queue/simulation/oracle.h"
#include "services/task_queue/simulation/scheduler.h"

namespace slipstream::task_queue::simulation {

class SimPublisher final : public EventPublisher {
 public:
  SimPublisher(Scheduler& scheduler, Faults& faults, Oracle& oracle, Owner owner)
      : scheduler_(scheduler), faults_(faults), oracle_(oracle), owner_(owner) {}

  Async<absl::Status> Publish(std::span<const OutboxEntry> entries) override;

 private:
  Scheduler& scheduler_;
  Faults& faults_;
  Oracle& oracle_;
  const Owner owner_;
};

}  // namespace slipstream::task_queue::simulation

#endif  // SERVICES_TASK_QUEUE_SIMULATION_SIM_PUBLISHER_H_
