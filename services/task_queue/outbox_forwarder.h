// OutboxForwarder: brings every change of state from one part of the store's outbox to the
// notification service.
//
// At least once by acknowledging after delivery, exactly once at the receiver by the entries'
// idempotency keys; in the outbox's order, so a user's events never overtake one another. A failure
// is tried again with growing delays, for as long as it takes. An entry that the receiver refuses
// as invalid is given up alone, logged and counted.
//
// Thread safety: one Step at a time.
#ifndef SERVICES_TASK_QUEUE_OUTBOX_FORWARDER_H_
#define SERVICES_TASK_QUEUE_OUTBOX_FORWARDER_H_

#include "absl/time/time.h"
#include "libs/logging/logger.h"
#include "libs/random/random.h"
#include "services/task_queue/event_publisher.h"
#include "services/task_queue/task_queue_metrics.h"
#include "services/task_queue/task_store.h"

namespace slipstream::task_queue {

class OutboxForwarder {
 public:
  static constexpr int kMaxBatchCount = 128;
  static constexpr absl::Duration kMinBackoff = absl::Milliseconds(100);
  static constexpr absl::Duration kMaxBackoff = absl::Seconds(5);
  // Another server forwards the part; so soon this one takes over when that one is gone.
  static constexpr absl::Duration kTakenWait = absl::Seconds(1);

  struct Deps {
    TaskStore& store;
    EventPublisher& publisher;
    random::Random& random;
    QueueSeries series;
    logging::Logger logger;
  };
  explicit OutboxForwarder(Deps deps, int part = 0) : deps_(std::move(deps)), part_(part) {}

  struct StepResult {
    int delivered_count = 0;
    absl::Duration wait;  // before the next step when the delivery failed; zero otherwise
  };
  // Delivers up to one batch.
  Async<StepResult> Step();

 private:
  Async<absl::Status> PublishOneByOne(std::span<const OutboxEntry> entries);
  absl::Duration NextBackoff();

  const Deps deps_;
  const int part_;
  int failures_count_ = 0;  // in a row
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_OUTBOX_FORWARDER_H_
