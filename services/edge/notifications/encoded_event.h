// A notification as JSON text, encoded once and shared by all receivers of this edge.
//
// Receivers differ in their cursor alone, so the text is kept in two halves around it and each
// connection puts its own in between as it writes.
//
// Thread safety: immutable once it is behind an EncodedEventPtr.
#ifndef SERVICES_EDGE_NOTIFICATIONS_ENCODED_EVENT_H_
#define SERVICES_EDGE_NOTIFICATIONS_ENCODED_EVENT_H_

#include <cstddef>
#include <memory>
#include <string>

#include "services/edge/notifications/resume_cursor.h"
#include "slipstream/notification/v1/notification.pb.h"

namespace slipstream::edge {

struct EncodedEvent {
  enum class Kind {
    kEvent,  // of a channel; moves the receiver's cursor when it has a position
    kStart,  // `subscribed`: sets the receiver's cursor
    kText,   // of the connection itself: no cursor, takes no credit
  };
  Kind kind = Kind::kEvent;
  std::string head, tail;  // kText: all of it is in `head`
  size_t channel = 0;
  ResumePosition position;  // epoch 0: the cursor stays (progress)
  ResumeCursor start;       // kStart

  // What it counts against a receiver's bound, in bytes. Shared by all, but a receiver that does
  // not read may be the one that keeps it.
  size_t HeldBytes() const { return head.size() + tail.size() + 64; }

  // Moves `cursor` on and appends the JSON.
  void AppendJson(ResumeCursor* cursor, std::string* out) const;
  // The same, an upper bound of what AppendJson appends.
  size_t MaxJsonBytes() const { return head.size() + tail.size() + 128; }
};
using EncodedEventPtr = std::shared_ptr<const EncodedEvent>;

// Null when the event has no JSON form (a number in its payload that is not finite).
EncodedEventPtr EncodeEvent(slipstream::notification::v1::Event event);
// The first event of a subscription.
EncodedEventPtr EncodeStart(const ResumeCursor& start, bool recovered);
// The last one before the edge goes away.
EncodedEventPtr EncodeReconnect(int reconnect_after_ms);
EncodedEventPtr EncodeText(std::string json);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_NOTIFICATIONS_ENCODED_EVENT_H_
