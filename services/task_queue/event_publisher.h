// Where the outbox goes. The seam between the forwarder and the notification service.
//
// Thread safety: one call at a time.
#ifndef SERVICES_TASK_QUEUE_EVENT_PUBLISHER_H_
#define SERVICES_TASK_QUEUE_EVENT_PUBLISHER_H_

#include <span>

#include "absl/status/status.h"
#include "libs/async/async.h"
#include "services/task_queue/task.h"

namespace slipstream::task_queue {

class EventPublisher {
 public:
  virtual ~EventPublisher() = default;
  // All, in order. INVALID_ARGUMENT: never again with these; any other error: try again. Repeating
  // is safe, because each entry carries an idempotency key.
  virtual Async<absl::Status> Publish(std::span<const OutboxEntry> entries) = 0;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_EVENT_PUBLISHER_H_
