// One stream to a reader: what is to be written next, for one subscriber (Subscribe) or for all
// subscribers of an edge (Attach).
//
// The engine pushes, the stream's writer takes. A link that holds more than its bytes has no room:
// the engine then keeps events in the subscribers' own backlogs, where each has its own bound.
// What is not an event is always taken; `Attach` reads no further requests while there is no room,
// which bounds the answers to them.
//
// Thread safety: all methods from any thread. Lock order: the engine's lock, then the link's.
#ifndef SERVICES_NOTIFICATION_LINK_H_
#define SERVICES_NOTIFICATION_LINK_H_

#include <cstdint>
#include <deque>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "libs/async/async.h"
#include "libs/async/event.h"
#include "libs/sync/mutex.h"
#include "services/notification/close_reason.h"
#include "services/notification/event.h"

namespace slipstream::notification {

// A subscriber has begun.
struct SubscribedMessage {
  uint64_t subscriber_id;
  std::string cursor;
  bool recovered;
  std::string user;
  std::string tenant;
  absl::Time token_expires_at;
};
// An event and its receivers on this link.
struct DeliveryMessage {
  std::vector<uint64_t> subscriber_ids;
  EventPtr event;
  // Where the receiver resumes after it; only on a link of one subscriber.
  std::string cursor;
};
// A subscriber has ended.
struct ClosedMessage {
  uint64_t subscriber_id;
  CloseReason reason;
  std::string message;
  std::string cursor;
};
// The node goes away. On a link of one subscriber: come back with `cursor` after the time given.
struct DrainMessage {
  absl::Duration window;
  std::string cursor;
};
using LinkMessage = std::variant<SubscribedMessage, DeliveryMessage, ClosedMessage, DrainMessage>;

struct LinkOptions {
  // True for Subscribe: one subscriber, whose deliveries carry a cursor.
  bool single = false;
  int64_t max_queued_bytes = 16 << 20;
};

class Link {
 public:
  explicit Link(LinkOptions options) : options_(options) {}

  const LinkOptions& options() const { return options_; }

  void Push(LinkMessage message);
  bool HasRoom() const;
  struct Taken {
    std::vector<LinkMessage> messages;  // oldest first; empty when there are none
    bool was_full = false;              // there was no room before, and now there may be
  };
  Taken Take(size_t max_count);

  // Nothing follows what is queued. The writer ends when it has taken the rest.
  void End();
  bool ended() const;

  // Changes with every Push, Take and End; see async::Event.
  uint64_t version() const { return changed_.version(); }
  Async<bool> Wait(uint64_t seen) { return changed_.Wait(seen); }

 private:
  static int64_t Cost(const LinkMessage& message);

  const LinkOptions options_;
  async::Event changed_;
  mutable sync::Mutex mutex_;
  std::deque<LinkMessage> queue_ ABSL_GUARDED_BY(mutex_);
  int64_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_LINK_H_
