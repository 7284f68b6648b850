#include "services/notification/publish_queue.h"

#include <iterator>
#include <utility>

#include "libs/status/status.h"

namespace slipstream::notification {

Async<absl::StatusOr<std::vector<Appended>>> PublishQueue::Publish(
    std::vector<AppendRequest> events) {
  auto ticket = std::make_shared<Ticket>();
  ticket->events = std::move(events);
  {
    sync::MutexLock lock(mutex_);
    if (waiting_count_ + ticket->events.size() > kMaxWaitingCount) {
      co_return status::WithRetryAfter(
          status::Error(absl::StatusCode::kResourceExhausted, "PUBLISH_QUEUE_FULL",
                        "too many events wait to be appended; publish again after the delay"),
          absl::Milliseconds(200));
    }
    waiting_count_ += ticket->events.size();
    waiting_.push_back(ticket);
    if (!has_leader_) has_leader_ = ticket->leads = true;
  }
  for (;;) {
    const uint64_t version = ticket->changed.version();
    bool leads;
    {
      sync::MutexLock lock(mutex_);
      if (ticket->done) co_return std::move(ticket->result);
      leads = ticket->leads;
    }
    if (leads) {
      co_await Lead();
    } else {
      co_await ticket->changed.Wait(version);
    }
  }
}

PublishQueue::Batch PublishQueue::TakeBatch() {
  Batch batch;
  size_t count = 0;
  while (!waiting_.empty()) {
    const size_t next = waiting_.front()->events.size();
    if (!batch.empty() && count + next > kMaxBatchCount) break;
    count += next;
    batch.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  waiting_count_ -= count;
  return batch;
}

// One batch, then the lead goes to the first that still waits: no caller works for others for long.
Async<void> PublishQueue::Lead() {
  Batch batch;
  {
    sync::MutexLock lock(mutex_);
    batch = TakeBatch();
  }
  std::vector<AppendRequest> requests;
  std::vector<size_t> counts;
  for (const auto& ticket : batch) {
    counts.push_back(ticket->events.size());
    std::move(ticket->events.begin(), ticket->events.end(), std::back_inserter(requests));
  }
  absl::StatusOr<std::vector<Appended>> appended = co_await store_.Append(std::move(requests));
  if (appended.ok()) {
    for (const Appended& one : *appended) deliver_(one);
  }
  std::shared_ptr<Ticket> next;
  {
    sync::MutexLock lock(mutex_);
    size_t from = 0;
    for (size_t i = 0; i < batch.size(); ++i) {
      Ticket& ticket = *batch[i];
      ticket.done = true;
      if (!appended.ok()) {
        ticket.result = appended.status();
        continue;
      }
      const auto begin = appended->begin() + static_cast<std::ptrdiff_t>(from);
      ticket.result = std::vector<Appended>(
          std::make_move_iterator(begin),
          std::make_move_iterator(begin + static_cast<std::ptrdiff_t>(counts[i])));
      from += counts[i];
    }
    if (waiting_.empty()) {
      has_leader_ = false;
    } else {
      next = waiting_.front();
      next->leads = true;
    }
  }
  for (const auto& ticket : batch) ticket->changed.Notify();
  if (next) next->changed.Notify();
}

}  // namespace slipstream::notification
