// Faults: whether one strikes here and now, and how often each has.
//
// Thread safety: none.
#ifndef SERVICES_TASK_QUEUE_SIMULATION_FAULTS_H_
#define SERVICES_TASK_QUEUE_SIMULATION_FAULTS_H_

#include <algorithm>
#include <array>
#include <cstdint>

#include "absl/time/time.h"
#include "services/task_queue/simulation/scheduler.h"
#include "services/task_queue/simulation/settings.h"
#include "services/task_queue/simulation/trace.h"

namespace slipstream::task_queue::simulation {

class Faults {
 public:
  using Counts = std::array<int64_t, kFaultCount>;

  Faults(const Settings& settings, Scheduler& scheduler, Trace& trace)
      : settings_(settings), scheduler_(scheduler), trace_(trace) {}

  // `scale`: how likely it is here in a world with the highest rate.
  bool Strikes(Fault fault, double scale) {
    if (!active_ || !scheduler_.Chance(settings_.of(fault) * scale)) return false;
    ++counts_[static_cast<size_t>(fault)];
    const std::string_view name = FaultName(fault);
    trace_.Add("fault: ", absl::string_view(name.data(), name.size()));
    return true;
  }
  void End() {
    active_ = false;
    store_back_at_ = scheduler_.now();
  }
  bool active() const { return active_; }

  void StoreGoesAway(absl::Duration duration) { store_back_at_ = scheduler_.now() + duration; }
  bool store_away() const { return scheduler_.now() < store_back_at_; }
  // Until then nothing could be done in time: no store, or no server.
  void Disturb(absl::Duration duration) {
    calm_since_ = std::max(calm_since_, scheduler_.now() + duration);
  }
  absl::Time calm_since() const { return calm_since_; }

  const Counts& counts() const { return counts_; }

 private:
  const Settings& settings_;
  Scheduler& scheduler_;
  Trace& trace_;
  bool active_ = true;
  absl::Time store_back_at_ = absl::InfinitePast();
  absl::Time calm_since_ = absl::InfinitePast();
  Counts counts_{};
};

}  // namespace slipstream::task_queue::simulation

#endif  // SERVICES_TASK_QUEUE_SIMULATION_FAULTS_H_
