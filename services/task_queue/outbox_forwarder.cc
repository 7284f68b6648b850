#include "services/task_queue/outbox_forwarder.h"

#include <algorithm>

#include "libs/status/status.h"
#include "services/task_queue/task_state.h"

namespace slipstream::task_queue {

absl::Duration OutboxForwarder::NextBackoff() {
  ++failures_count_;
  return task_state::RetryDelay(failures_count_, {kMinBackoff, kMaxBackoff},
                                deps_.random.NextDouble(), absl::ZeroDuration());
}

Async<OutboxForwarder::StepResult> OutboxForwarder::Step() {
  StepResult result;
  auto entries = co_await deps_.store.ReadOutbox(part_, 0, kMaxBatchCount);
  absl::Status delivered = entries.status();
  if (entries.ok()) {
    if (entries->empty()) co_return result;
    delivered = co_await deps_.publisher.Publish(*entries);
    // One entry may spoil the batch for the others.
    if (absl::IsInvalidArgument(delivered)) delivered = co_await PublishOneByOne(*entries);
  }
  if (delivered.ok()) {
    delivered = co_await deps_.store.AckOutbox(part_, entries->back().sequence);
  }
  if (status::Reason(delivered) == kOutboxTaken) {
    result.wait = kTakenWait;
    co_return result;
  }
  if (!delivered.ok()) {
    result.wait = NextBackoff();
    deps_.series.outbox_retries.Increment();
    // The first failure and then ever fewer: an outage is one story, not a line per attempt.
    if ((failures_count_ & (failures_count_ - 1)) == 0) {
      deps_.logger.Warning("events not delivered; they are kept and tried again",
                           {{"error", delivered}, {"failures", failures_count_}});
    }
    co_return result;
  }
  if (failures_count_ > 0) deps_.logger.Info("events are delivered again");
  failures_count_ = 0;
  result.delivered_count = static_cast<int>(entries->size());
  deps_.series.outbox_delivered.Increment(entries->size());
  co_return result;
}

Async<absl::Status> OutboxForwarder::PublishOneByOne(std::span<const OutboxEntry> entries) {
  for (const OutboxEntry& entry : entries) {
    const absl::Status delivered = co_await deps_.publisher.Publish({&entry, 1});
    if (absl::IsInvalidArgument(delivered)) {
      deps_.series.outbox_dropped.Increment();
      deps_.logger.Error(
          "an event was refused as invalid and is given up",
          {{"task_id", entry.task.task_id}, {"type", entry.type}, {"error", delivered}});
      continue;
    }
    if (!delivered.ok()) co_return delivered;
  }
  co_return absl::OkStatus();
}

}  // namespace slipstream::task_queue
