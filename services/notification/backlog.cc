#include "services/notification/backlog.h"

#include <limits>
#include <utility>

namespace slipstream::notification {

Backlog::Outcome Backlog::Push(const EventPtr& event, int64_t max_bytes) {
  const auto bytes = static_cast<int64_t>(event->HeldBytes());
  EventPtr* older = nullptr;
  const bool conflated = IsConflated(event->type) && !event->task_id.empty();
  if (conflated) {
    auto it = progress_.find(event->task_id);
    if (it != progress_.end()) older = &events_[it->second - popped_count_];
  }
  const int64_t freed = older == nullptr ? 0 : static_cast<int64_t>((*older)->HeldBytes());
  if (held_bytes_ - freed + bytes > max_bytes) return Outcome::kFull;
  if (older != nullptr) {
    older->reset();
    --count_;
  }
  held_bytes_ += bytes - freed;
  ++count_;
  events_.push_back(event);
  if (conflated) progress_[event->task_id] = popped_count_ + events_.size() - 1;
  DropHoles();
  return older == nullptr ? Outcome::kKept : Outcome::kReplacedOlder;
}

EventPtr Backlog::Pop() {
  EventPtr event = std::move(events_.front());
  events_.pop_front();
  ++popped_count_;
  --count_;
  held_bytes_ -= static_cast<int64_t>(event->HeldBytes());
  if (IsConflated(event->type)) progress_.erase(event->task_id);
  DropHoles();
  return event;
}

void Backlog::Drop(ChannelKind kind) {
  Backlog rest;
  while (!empty()) {
    EventPtr event = Pop();
    if (event->channel.kind == kind) continue;
    (void)rest.Push(event, std::numeric_limits<int64_t>::max());
  }
  *this = std::move(rest);
}

void Backlog::DropHoles() {
  while (!events_.empty() && events_.front() == nullptr) {
    events_.pop_front();
    ++popped_count_;
  }
}

}  // namespace slipstream::notification
