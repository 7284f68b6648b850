// What one subscriber has not been sent yet: bounded in bytes, with progress conflated per task.
//
// Thread safety: none; the engine's lock guards it.
#ifndef SERVICES_NOTIFICATION_BACKLOG_H_
#define SERVICES_NOTIFICATION_BACKLOG_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "services/notification/event.h"

namespace slipstream::notification {

class Backlog {
 public:
  enum class Outcome { kKept, kReplacedOlder, kFull };

  // kReplacedOlder: an older progress event of the same task went in favour of this one, which
  // stands at the end. kFull: keeping it would exceed `max_bytes`; nothing has changed.
  Outcome Push(const EventPtr& event, int64_t max_bytes);

  // Forgets what is of a channel of this kind.
  void Drop(ChannelKind kind);

  bool empty() const { return count_ == 0; }
  int64_t held_bytes() const { return held_bytes_; }
  // Places in use, of events and of replaced ones that are not cleared away yet: at most twice the
  // events and a few.
  size_t places_count() const { return events_.size() - first_; }
  // REQUIRES: not empty, of both.
  const EventPtr& Front() const { return events_[first_]; }
  EventPtr Pop();

 private:
  void DropHoles();
  void PopFront();
  void ClearHoles();

  // A replaced event leaves a null behind, so that positions stay valid. A vector and not a deque:
  // ten thousand idle subscribers hold none, and an empty deque has 600 bytes.
  std::vector<EventPtr> events_;
  size_t first_ = 0;           // of events_, the rest has been taken
  uint64_t popped_count_ = 0;  // index of events_[first_] since the start
  size_t count_ = 0;
  int64_t held_bytes_ = 0;
  std::map<std::string, uint64_t> progress_;  // task -> index since the start
};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_BACKLOG_H_
