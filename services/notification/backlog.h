// What one subscriber has not been sent yet: bounded in bytes, with progress conflated per task.
//
// Thread safety: none; the engine's lock guards it.
#ifndef SERVICES_NOTIFICATION_BACKLOG_H_
#define SERVICES_NOTIFICATION_BACKLOG_H_

#include <cstdint>
#include <deque>
#include <map>
#include <string>

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
  // REQUIRES: not empty, of both.
  const EventPtr& Front() const { return events_.front(); }
  EventPtr Pop();

 private:
  void DropHoles();

  // A replaced event leaves a null behind, so that positions stay valid.
  std::deque<EventPtr> events_;
  uint64_t popped_count_ = 0;  // index of events_.front() since the start
  size_t count_ = 0;
  int64_t held_bytes_ = 0;
  std::map<std::string, uint64_t> progress_;  // task -> index since the start
};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_BACKLOG_H_
