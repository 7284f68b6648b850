// EventPublisher over the notification service's PublishMany.
//
// Thread safety: one call at a time.
#ifndef SERVICES_TASK_QUEUE_NOTIFICATION_PUBLISHER_H_
#define SERVICES_TASK_QUEUE_NOTIFICATION_PUBLISHER_H_

#include <memory>

#include "libs/service/context.h"
#include "services/task_queue/event_publisher.h"
#include "slipstream/notification/v1/notification.grpc.pb.h"

namespace slipstream::task_queue {

class NotificationPublisher final : public EventPublisher {
 public:
  // `peers` outlives this; the channel is asked for at the first publish.
  explicit NotificationPublisher(service::Peers& peers) : peers_(peers) {}

  Async<absl::Status> Publish(std::span<const OutboxEntry> entries) override;

 private:
  service::Peers& peers_;
  std::unique_ptr<notification::v1::NotificationService::Stub> stub_;
};

// To the owner's channel, with what a client shows of a task.
notification::v1::PublishRequest ToPublishRequest(const OutboxEntry& entry);

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_NOTIFICATION_PUBLISHER_H_
