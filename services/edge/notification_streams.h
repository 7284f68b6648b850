// GET /api/v1/notifications/stream: the user's events as Server-Sent Events or NDJSON, fed by the
// hub like a WebSocket and bound by the same limits.
//
// SSE: each event has its cursor as `id`, so a browser's EventSource resumes by itself. The end is
// `event: end` after a `reconnect`, or `event: error` with a problem.
//
// Thread safety: Answer for many exchanges at once; Drain from the owner.
#ifndef SERVICES_EDGE_NOTIFICATION_STREAMS_H_
#define SERVICES_EDGE_NOTIFICATION_STREAMS_H_

#include <cstddef>
#include <memory>
#include <set>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "libs/sync/mutex.h"
#include "services/edge/http/exchange.h"
#include "services/edge/notifications/notification_hub.h"
#include "services/edge/request_scope.h"
#include "services/edge/sign_in/connection_limits.h"

namespace slipstream::edge {

struct NotificationStreamOptions {
  size_t queue_bytes = 1 << 20;
  // A quiet stream gets a comment this often.
  absl::Duration heartbeat = absl::Seconds(15);
  int proxy_hops_count = 0;
};

class NotificationStreams {
 public:
  static constexpr std::string_view kGrpcPath =
      "/slipstream.notification.v1.NotificationService/Subscribe";

  struct Deps {
    NotificationHub& hub;
    ConnectionLimits& limits;
  };
  NotificationStreams(NotificationStreamOptions options, Deps deps);
  ~NotificationStreams();

  // `request` is a notification.v1.SubscribeRequest of whatever pool; the caller has signed in. A
  // status that is not OK means that nothing has been answered yet.
  Async<absl::Status> Answer(Exchange& exchange, const RequestScope& scope,
                             const google::protobuf::Message& request);

  // Ends every stream with `reconnect`, and new ones at once.
  void Drain();

 private:
  class Receiver;
  bool Add(const std::shared_ptr<Receiver>& receiver);
  Async<absl::Status> Write(Exchange& exchange, const RequestScope& scope, Receiver& receiver,
                            uint64_t id);

  const NotificationStreamOptions options_;
  const Deps deps_;
  sync::Mutex mutex_;
  std::set<std::shared_ptr<Receiver>> receivers_ ABSL_GUARDED_BY(mutex_);
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_NOTIFICATION_STREAMS_H_
