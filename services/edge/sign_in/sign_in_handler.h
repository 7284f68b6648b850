// The two ways in for browsers, which cannot put a token where other clients do:
//
//   POST /api/v1/ws/ticket   a one-use ticket for /ws?ticket=...: {"ticket", "expires_in_ms"}
//   POST /api/v1/session     a cookie for EventSource: {"expires_at"}; DELETE forgets it
//
// Both are bought with a bearer token. Thread safety: one handler serves all connections at once.
#ifndef SERVICES_EDGE_SIGN_IN_SIGN_IN_HANDLER_H_
#define SERVICES_EDGE_SIGN_IN_SIGN_IN_HANDLER_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "libs/auth/authenticator.h"
#include "libs/clock/clock.h"
#include "services/edge/http/exchange.h"
#include "services/edge/request_scope.h"
#include "services/edge/sign_in/connection_limits.h"
#include "services/edge/sign_in/ticket_store.h"

namespace slipstream::edge {

class SignInHandler {
 public:
  struct Deps {
    auth::Authenticator& authenticator;
    TicketStore& tickets;
    ConnectionLimits& limits;
    const clock::Clock& clock;
    int proxy_hops_count;
  };
  explicit SignInHandler(Deps deps) : deps_(deps) {}

  // Of a path without its trailing slash.
  static bool Serves(std::string_view path);
  // The answer. Errors: UNAUTHENTICATED, RESOURCE_EXHAUSTED, METHOD_NOT_ALLOWED,
  // INVALID_ARGUMENT (TOKEN_TOO_LONG for a cookie).
  Async<absl::StatusOr<HttpResponse>> Handle(Exchange& exchange, RequestScope& scope,
                                             std::string_view path);

 private:
  absl::Status SignIn(const Exchange& exchange, RequestScope& scope);
  absl::StatusOr<HttpResponse> IssueTicket(const RequestScope& scope);
  absl::StatusOr<HttpResponse> SetSession(const Exchange& exchange, const RequestScope& scope);

  const Deps deps_;
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_SIGN_IN_SIGN_IN_HANDLER_H_
