// All of this edge's subscribers over one Attach stream to the notification service.
//
// The stream is opened with the first subscriber. When it breaks or the node goes away, the hub
// opens another and subscribes everybody anew at the place where each stands: a client sees at most
// a second `subscribed` event, with `recovered: false`, if something is lost. Without a node for
// longer than kMaxAway every subscriber is ended with UPSTREAM_UNAVAILABLE.
//
// Under load receivers are woken in rounds, one after the other, so that each finds several events
// to write at once; a quiet hub wakes them at once.
//
// Flow control: a subscriber has credit for kCreditCount events; its receiver gives kCreditQuantum
// back (AddCredit) when it has written as many. Beyond that events wait in the node, whose bound of
// bytes ends a slow reader; so does the receiver's own Outbox.
//
// Thread safety: all methods from any thread. Receivers are called on the hub's strand.
#ifndef SERVICES_EDGE_NOTIFICATIONS_NOTIFICATION_HUB_H_
#define SERVICES_EDGE_NOTIFICATIONS_NOTIFICATION_HUB_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "libs/async/async.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/service/context.h"
#include "services/edge/notifications/encoded_event.h"

namespace slipstream::edge {

// Why the hub ended a subscription: the node's reason (AttachResponse.Closed.reason), or
// UPSTREAM_UNAVAILABLE.
struct SubscriptionEnd {
  std::string reason;
  std::string message;  // for people
};

// Called on the hub's strand, so it must not block; never after the hub's Stop has returned.
class EventReceiver {
 public:
  virtual ~EventReceiver() = default;
  // Events in their order. The first is of kind kStart; a later kStart means that events were lost.
  // True: the receiver is to be woken by Wake, now or a little later together with others.
  virtual bool OnEvents(absl::Span<const EncodedEventPtr> events) = 0;
  virtual void Wake() = 0;
  // Nothing follows.
  virtual void OnEnd(const SubscriptionEnd& end) = 0;
};

struct SubscriptionRequest {
  std::string token;   // the subscriber's own; the node verifies it
  std::string cursor;  // empty: from now
  std::vector<std::string> types;
  std::string client_address;
};

class NotificationHub {
 public:
  // As many as the edge can fall behind by for a moment: what the node has to hold back it sends to
  // each subscriber by itself afterwards. What a slow reader may keep here is bounded by bytes.
  static constexpr int kCreditCount = 4096;
  static constexpr int kCreditQuantum = 1024;
  static constexpr absl::Duration kMaxAway = absl::Seconds(5);
  // From one round to the next, for each receiver of the first: about what its system calls cost,
  // twice.
  static constexpr absl::Duration kRoundIntervalEach = absl::Microseconds(24);
  static constexpr absl::Duration kMaxRoundInterval = absl::Milliseconds(12);

  struct Deps {
    service::Peers& peers;
    Executor executor;
    const clock::Clock& clock;
    logging::Logger logger;
  };

  explicit NotificationHub(Deps deps);
  ~NotificationHub();
  NotificationHub(const NotificationHub&) = delete;
  NotificationHub& operator=(const NotificationHub&) = delete;

  // The subscription's number, above 0. `receiver` is kept until OnEnd or Unsubscribe.
  uint64_t Subscribe(SubscriptionRequest request, std::shared_ptr<EventReceiver> receiver);
  void Unsubscribe(uint64_t id);
  // kCreditQuantum more events may come.
  void AddCredit(uint64_t id);
  // `token` is a newer one of the same user and tenant; the node ends the subscription otherwise.
  void Refresh(uint64_t id, std::string token);

  // Ends the stream. Not on a runtime thread; afterwards no receiver is called.
  void Stop();

 private:
  class Impl;
  const std::shared_ptr<Impl> impl_;
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_NOTIFICATIONS_NOTIFICATION_HUB_H_
