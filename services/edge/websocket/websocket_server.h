// GET /ws: the user's events as JSON text messages.
//
// A client signs in by the Authorization header of the handshake, by a one-use ticket in its query,
// or by its first message {"type":"auth","token":"..."}; `cursor` in the query or in that message
// resumes. The server then sends notification.v1.Event objects, the first of type "subscribed".
// {"type":"ping"} is answered by {"type":"pong"}, {"type":"refresh","token":"..."} by
// {"type":"refreshed","expires_at":"..."}; {"type":"token_expiring"} asks for that in time.
//
// Bounds: connections of the edge, of a user and of an address, message bytes, unread bytes,
// messages a minute, time to sign in, idle time, compressed connections. Close codes:
// close_codes.h.
//
// Thread safety: Serve from any strand; Start, Drain and Stop from the owner.
#ifndef SERVICES_EDGE_WEBSOCKET_WEBSOCKET_SERVER_H_
#define SERVICES_EDGE_WEBSOCKET_WEBSOCKET_SERVER_H_

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/async/scope.h"
#include "libs/auth/authenticator.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/metrics/registry.h"
#include "libs/sync/mutex.h"
#include "services/edge/http/upgrade.h"
#include "services/edge/notifications/notification_hub.h"
#include "services/edge/sign_in/connection_limits.h"
#include "services/edge/sign_in/ticket_store.h"

namespace slipstream::edge {

struct WebSocketOptions {
  size_t max_message_bytes = 65536;
  size_t queue_bytes = 1 << 20;
  int max_connections_count = 1000;
  // Connections that may use permessage-deflate at once; beyond it, and with 0, it is not
  // negotiated.
  int max_deflate_connections_count = 0;
  absl::Duration auth_timeout = absl::Seconds(10);
  absl::Duration idle_timeout = absl::Seconds(300);
  absl::Duration ping_interval = absl::Seconds(30);
  // For a client to take what is being written.
  absl::Duration write_timeout = absl::Seconds(30);
  // Before its token expires, a client is asked for a new one.
  absl::Duration refresh_notice = absl::Seconds(60);
  // A token is taken this long after its `exp`, as everywhere.
  absl::Duration token_leeway = absl::Seconds(60);
  int max_incoming_per_minute_count = 100;
  int proxy_hops_count = 0;
  std::vector<std::string> allowed_origins;
};

class WebSocketSession;

class WebSocketServer {
 public:
  struct Deps {
    auth::Authenticator& authenticator;
    NotificationHub& hub;
    ConnectionLimits& limits;
    TicketStore& tickets;
    const clock::Clock& clock;
    metrics::Registry& metrics;
    logging::Logger logger;
    Executor executor;
  };

  WebSocketServer(WebSocketOptions options, Deps deps);
  ~WebSocketServer();

  void Start();
  // Ends the timekeeping and every connection that is left. Not on a runtime thread.
  void Stop();

  // Runs the connection to its end. An address over its limits gets 429 instead of a WebSocket.
  Async<void> Serve(UpgradeRequest request);

  // Closes every connection with 1001 "reconnect"; new ones are closed at once.
  void Drain();
  // Ends every connection that is left, its client reading or not.
  void Abort();
  int open_connections() const;

  const WebSocketOptions& options() const { return options_; }
  const Deps& deps() const { return deps_; }

  bool OriginAllowed(const UpgradeRequest& request) const;

  // Of sessions.
  void CountClose(uint16_t code) const;
  // False: as many compressed connections as there may be.
  bool TakeDeflate();
  void GiveDeflateBack();

 private:
  Async<void> Run(std::shared_ptr<WebSocketSession> session);
  bool Add(const std::shared_ptr<WebSocketSession>& session);
  void Remove(const std::shared_ptr<WebSocketSession>& session);
  std::vector<std::shared_ptr<WebSocketSession>> Sessions() const;
  // Looks after what is due in the sessions: pings, time limits, tokens.
  Async<void> KeepTime();

  const WebSocketOptions options_;
  const Deps deps_;
  const metrics::Gauge open_gauge_;
  const metrics::Family<metrics::Counter> closes_;
  mutable sync::Mutex mutex_;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  int deflate_count_ ABSL_GUARDED_BY(mutex_) = 0;
  std::set<std::shared_ptr<WebSocketSession>> sessions_ ABSL_GUARDED_BY(mutex_);
  async::Scope scope_;
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_WEBSOCKET_WEBSOCKET_SERVER_H_
