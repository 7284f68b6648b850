// What happens to every HTTP request at the edge, in order: ids and trace, CORS, the few pages
// that are not RPCs, else REST; then security headers, metrics and the log line.
//
// Thread safety: one handler serves all connections at once.
#ifndef SERVICES_EDGE_EDGE_HANDLER_H_
#define SERVICES_EDGE_EDGE_HANDLER_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/metrics/registry.h"
#include "libs/random/random.h"
#include "libs/service/monitoring_reporter.h"
#include "services/edge/http/http_server.h"
#include "services/edge/request_scope.h"
#include "services/edge/rest_handler.h"
#include "services/edge/sign_in/sign_in_handler.h"
#include "services/edge/websocket/websocket_server.h"

namespace slipstream::edge {

// A page that is the same for everybody: the dashboard, the OpenAPI document.
struct StaticPage {
  std::string content_type;
  std::string body;
  std::string content_security_policy;
};

class EdgeHandler final : public HttpHandler {
 public:
  struct Deps {
    RestHandler& rest;
    WebSocketServer& websocket;
    SignInHandler& sign_in;
    const clock::Clock& clock;
    random::Random& random;
    metrics::Registry& metrics;
    logging::Logger logger;
    service::MonitoringReporter& reporter;
    std::map<std::string, StaticPage, std::less<>> pages;  // by path
    std::vector<std::string> cors_allowed_origins;
  };

  explicit EdgeHandler(Deps deps);

  Async<void> Handle(Exchange& exchange) override;
  Async<void> HandleUpgrade(UpgradeRequest request) override;

 private:
  RequestScope MakeScope(const Exchange& exchange);
  // True: the exchange is answered (a preflight).
  Async<bool> HandleCors(Exchange& exchange);
  Async<void> Route(Exchange& exchange, RequestScope& scope);
  // Why this is not to become a WebSocket; nullopt: it may.
  std::optional<HttpResponse> RefusalOf(const UpgradeRequest& request) const;
  void Observe(const Exchange& exchange, const RequestScope& scope);

  const Deps deps_;
  const metrics::Family<metrics::Counter> requests_;
  const metrics::Family<metrics::Histogram> seconds_;
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_EDGE_HANDLER_H_
