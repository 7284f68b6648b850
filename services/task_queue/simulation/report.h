// What is said of many runs.
//
// Thread safety: none.
#ifndef SERVICES_TASK_QUEUE_SIMULATION_REPORT_H_
#define SERVICES_TASK_QUEUE_SIMULATION_REPORT_H_

#include <cstdint>
#include <string>

#include "services/task_queue/simulation/simulation.h"

namespace slipstream::task_queue::simulation {

// The seed, what was violated, the last steps, and how to see it again.
std::string ViolationText(uint64_t seed, const Outcome& outcome);

class Summary {
 public:
  Summary();
  void Add(const Outcome& outcome);
  std::string Text() const;
  double seconds() const;  // since it was made

 private:
  const double started_at_s_;
  int64_t seeds_count_ = 0;
  int64_t passed_count_ = 0;
  int64_t step_count_ = 0;
  int64_t op_count_ = 0;
  absl::Duration simulated_;
  Faults::Counts faults_{};
  Oracle::Counts counts_;
};

}  // namespace slipstream::task_queue::simulation

#endif  // SERVICES_TASK_QUEUE_SIMULATION_REPORT_H_
