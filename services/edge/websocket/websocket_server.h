// GET /ws: the user's events as JSON text messages.
//
// A client signs in by the Authorization header of the handshake, or by its first message
// {"type":"auth","token":"..."}; `cursor` in the query or in that message resumes. The server then
// sends notification.v1.Event objects, the first of type "subscribed". {"type":"ping"} is answered
// by {"type":"pong"}.
//
// Bounds: connections of the edge and of a user, message bytes, unread bytes, messages a minute,
// time to sign in, idle time. Close codes: close_codes.h.
//
// Thread safety: Serve from any strand; Drain from the owner.
#ifndef SERVICES_EDGE_WEBSOCKET_WEBSOCKET_SERVER_H_
#define SERVICES_EDGE_WEBSOCKET_WEBSOCKET_SERVER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/auth/authenticator.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/metrics/registry.h"
#include "libs/sync/mutex.h"
#include "services/edge/http/upgrade.h"
#include "services/edge/upstreams.h"

namespace slipstream::edge {

struct WebSocketOptions {
  size_t max_message_bytes = 65536;
  size_t queue_bytes = 1 << 20;
  int max_connections_count = 1000;
  int max_user_connections_count = 10;
  absl::Duration auth_timeout = absl::Seconds(10);
  absl::Duration idle_timeout = absl::Seconds(300);
  absl::Duration ping_interval = absl::Seconds(30);
  // For a client to take one message.
  absl::Duration write_timeout = absl::Seconds(30);
  int max_incoming_per_minute_count = 100;
  std::vector<std::string> allowed_origins;
};

class WebSocketSession;

class WebSocketServer {
 public:
  struct Deps {
    auth::Authenticator& authenticator;
    Upstreams& upstreams;
    const clock::Clock& clock;
    metrics::Registry& metrics;
    logging::Logger logger;
  };

  WebSocketServer(WebSocketOptions options, Deps deps);

  // Runs the connection to its end.
  Async<void> Serve(UpgradeRequest request);

  // Closes every connection with 1001 "reconnect"; new ones are closed at once.
  void Drain();
  // Ends every connection that is left, its client reading or not.
  void Abort();
  int open_connections() const;

  const WebSocketOptions& options() const { return options_; }
  const Deps& deps() const { return deps_; }

  // Of sessions: counts a user's connection. False: the user has too many.
  bool AddUser(const std::string& user);
  void RemoveUser(const std::string& user);
  bool OriginAllowed(const UpgradeRequest& request) const;
  void CountClose(uint16_t code) const;

 private:
  bool Add(const std::shared_ptr<WebSocketSession>& session);
  void Remove(const std::shared_ptr<WebSocketSession>& session);

  const WebSocketOptions options_;
  const Deps deps_;
  const metrics::Gauge open_gauge_;
  const metrics::Family<metrics::Counter> closes_;
  mutable sync::Mutex mutex_;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  std::set<std::shared_ptr<WebSocketSession>> sessions_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int> users_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_WEBSOCKET_WEBSOCKET_SERVER_H_
