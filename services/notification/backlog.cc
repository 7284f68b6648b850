#include "services/notification/backlog.h"

#include <limits>
#include <utility>

namespace slipstream::notification {

namespace {

// So many places need not be tidied: what has been taken or replaced is cleared away when it is
// more and half of all, and a vector that has grown beyond is given back when it is empty.
constexpr size_t kKeptCapacity_count = 16;

}  // namespace

Backlog::Outcome Backlog::Push(const EventPtr& event, int64_t max_bytes) {
  const auto bytes = static_cast<int64_t>(event->HeldBytes());
  EventPtr* older = nullptr;
  const bool conflated = IsConflated(event->type) && !event->task_id.empty();
  if (conflated) {
    auto it = progress_.find(event->task_id);
    if (it != progress_.end()) older = &events_[first_ + (it->second - popped_count_)];
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
  if (conflated) progress_[event->task_id] = popped_count_ + (events_.size() - first_) - 1;
  DropHoles();
  if (places_count() > 2 * count_ + kKeptCapacity_count) ClearHoles();
  return older == nullptr ? Outcome::kKept : Outcome::kReplacedOlder;
}

EventPtr Backlog::Pop() {
  EventPtr event = std::move(events_[first_]);
  PopFront();
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
  while (first_ < events_.size() && events_[first_] == nullptr) PopFront();
}

void Backlog::ClearHoles() {
  std::vector<EventPtr> rest;
  rest.reserve(count_);
  for (size_t i = first_; i < events_.size(); ++i) {
    if (events_[i] == nullptr) continue;
    const auto place = progress_.find(events_[i]->task_id);
    if (IsConflated(events_[i]->type) && place != progress_.end()) {
      place->second = popped_count_ + rest.size();
    }
    rest.push_back(std::move(events_[i]));
  }
  events_ = std::move(rest);
  first_ = 0;
}

void Backlog::PopFront() {
  ++first_;
  ++popped_count_;
  if (first_ == events_.size()) {
    if (events_.capacity() > kKeptCapacity_count) {
      events_ = {};
    } else {
      events_.clear();
    }
    first_ = 0;
  } else if (first_ >= kKeptCapacity_count && first_ * 2 >= events_.size()) {
    events_.erase(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

}  // namespace slipstream::notification
