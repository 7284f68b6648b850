#include "services/task_queue/simulation/sim_publisher.h"

namespace slipstream::task_queue::simulation {

Async<absl::Status> SimPublisher::Publish(std::span<const OutboxEntry> entries) {
  co_await scheduler_.Sleep(owner_,
                            scheduler_.Between(absl::Microseconds(100), absl::Milliseconds(10)));
  size_t taken_count = entries.size();
  const bool away = faults_.Strikes(Fault::kPublisherAway, 0.2);
  if (away)
    taken_count = static_cast<size_t>(scheduler_.Between(0, static_cast<int>(entries.size())));
  for (size_t i = 0; i < taken_count; ++i) oracle_.OnEvent(entries[i]);
  if (faults_.Strikes(Fault::kDuplicatePublish, 0.1)) {
    for (size_t i = 0; i < taken_count; ++i) oracle_.OnEvent(entries[i]);
  }
  co_await scheduler_.Sleep(owner_, absl::Microseconds(100));
  if (away) co_return absl::UnavailableError("the receiver of events is away");
  co_return absl::OkStatus();
}

}  // namespace slipstream::task_queue::simulation
