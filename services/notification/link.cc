#include "services/notification/link.h"

#include <algorithm>
#include <utility>

namespace slipstream::notification {

int64_t Link::Cost(const LinkMessage& message) {
  constexpr int64_t kMessageBytes = 128;
  if (const auto* delivery = std::get_if<DeliveryMessage>(&message)) {
    return kMessageBytes + static_cast<int64_t>(delivery->event->HeldBytes() +
                                                delivery->subscriber_ids.size() * sizeof(uint64_t));
  }
  return kMessageBytes;
}

void Link::Push(LinkMessage message) {
  {
    sync::MutexLock lock(mutex_);
    if (ended_) return;
    queued_bytes_ += Cost(message);
    queue_.push_back(std::move(message));
  }
  changed_.Notify();
}

bool Link::HasRoom() const {
  sync::MutexLock lock(mutex_);
  return queued_bytes_ < options_.max_queued_bytes;
}

Link::Taken Link::Take(size_t max_count) {
  Taken out;
  {
    sync::MutexLock lock(mutex_);
    out.was_full = queued_bytes_ >= options_.max_queued_bytes;
    const size_t count = std::min(max_count, queue_.size());
    out.messages.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      queued_bytes_ -= Cost(queue_.front());
      out.messages.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
  }
  if (!out.messages.empty()) changed_.Notify();
  return out;
}

void Link::End() {
  {
    sync::MutexLock lock(mutex_);
    ended_ = true;
  }
  changed_.Notify();
}

bool Link::ended() const {
  sync::MutexLock lock(mutex_);
  return ended_;
}

}  // namespace slipstream::notification
