// Group commit of publishes: whatever callers hand in while an append is in flight travels as the
// next batch, and appended events go out in the order in which the store numbered them.
//
// Purpose: with one append at a time, the order of delivery is the order of the history, which is
// what makes a resume free of gaps and duplicates; and a store over a network is asked once for
// many. Thread safety: Publish from any thread. `deliver` is called by one thread at a time, in
// order. Errors: RESOURCE_EXHAUSTED, reason PUBLISH_QUEUE_FULL, with a retry delay; the store's
// own, for every publish of the batch.
#ifndef SERVICES_NOTIFICATION_PUBLISH_QUEUE_H_
#define SERVICES_NOTIFICATION_PUBLISH_QUEUE_H_

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/async/async.h"
#include "libs/async/event.h"
#include "libs/sync/mutex.h"
#include "services/notification/history_store.h"

namespace slipstream::notification {

class PublishQueue {
 public:
  static constexpr size_t kMaxBatchCount = 256;
  static constexpr size_t kMaxWaitingCount = 16'384;

  PublishQueue(HistoryStore& store, std::function<void(const Appended&)> deliver)
      : store_(store), deliver_(std::move(deliver)) {}

  // One result per event, in order. REQUIRES: at most kMaxBatchCount events.
  Async<absl::StatusOr<std::vector<Appended>>> Publish(std::vector<AppendRequest> events);

 private:
  struct Ticket {
    std::vector<AppendRequest> events;
    async::Event changed;
    // Guarded by the queue's mutex.
    bool leads = false;
    bool done = false;
    absl::StatusOr<std::vector<Appended>> result = std::vector<Appended>{};
  };
  using Batch = std::vector<std::shared_ptr<Ticket>>;

  Batch TakeBatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Async<void> Lead();

  HistoryStore& store_;
  const std::function<void(const Appended&)> deliver_;
  sync::Mutex mutex_;
  std::deque<std::shared_ptr<Ticket>> waiting_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_count_ ABSL_GUARDED_BY(mutex_) = 0;  // events
  bool has_leader_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_PUBLISH_QUEUE_H_
