#include "services/edge/notifications/outbox.h"

#include <utility>

namespace slipstream::edge {

namespace {

// A vector that has grown beyond this is given back when it is empty.
constexpr size_t kKeptCapacity_count = 16;

}  // namespace

Outbox::Pushed Outbox::Push(absl::Span<const EncodedEventPtr> events) {
  size_t bytes = 0;
  for (const EncodedEventPtr& event : events) bytes += event->HeldBytes();
  sync::MutexLock lock(mutex_);
  if (dropped_) return Pushed::kDropped;
  if (held_bytes_ + bytes > max_bytes_) {
    dropped_ = true;
    events_ = {};
    first_ = held_bytes_ = 0;
    return Pushed::kOver;
  }
  held_bytes_ += bytes;
  events_.insert(events_.end(), events.begin(), events.end());
  return std::exchange(awake_, true) ? Pushed::kQueued : Pushed::kWake;
}

void Outbox::Drop() {
  sync::MutexLock lock(mutex_);
  dropped_ = true;
  events_ = {};
  first_ = held_bytes_ = 0;
}

bool Outbox::empty() const {
  sync::MutexLock lock(mutex_);
  return first_ == events_.size();
}

std::vector<EncodedEventPtr>& Outbox::Fetch(size_t max_bytes) {
  thread_local std::vector<EncodedEventPtr> batch;
  batch.clear();
  sync::MutexLock lock(mutex_);
  size_t bytes = 0;
  while (first_ < events_.size() && bytes < max_bytes) {
    const size_t one = events_[first_]->HeldBytes();
    bytes += one;
    held_bytes_ -= one;
    batch.push_back(std::move(events_[first_++]));
  }
  if (first_ == events_.size()) {
    first_ = 0;
    if (events_.capacity() > kKeptCapacity_count) {
      events_ = {};
    } else {
      events_.clear();
    }
  }
  if (batch.empty()) awake_ = false;
  return batch;
}

}  // namespace slipstream::edge
