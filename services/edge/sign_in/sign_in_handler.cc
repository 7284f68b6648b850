#include "services/edge/sign_in/sign_in_handler.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/edge/sign_in/session_cookie.h"
#include "services/edge/transcoder/problem.h"

namespace slipstream::edge {

namespace {

constexpr std::string_view kTicketPath = "/api/v1/ws/ticket";
constexpr std::string_view kSessionPath = "/api/v1/session";
// Nothing is read from it; a client may send "{}".
constexpr size_t kMaxBodyBytes = 1024;

// The browser's own connection, before any proxy that ends TLS.
bool CameByHttps(const Exchange& exchange) {
  return exchange.header("x-forwarded-proto").value_or("") == "https" ||
         exchange.header("origin").value_or("").starts_with("https://");
}

}  // namespace

bool SignInHandler::Serves(std::string_view path) {
  return path == kTicketPath || path == kSessionPath;
}

Async<absl::StatusOr<HttpResponse>> SignInHandler::Handle(Exchange& exchange, RequestScope& scope,
                                                          std::string_view path) {
  const bool session = path == kSessionPath;
  scope.route = session ? "session" : "ws/ticket";
  const bool forget = session && exchange.method() == "DELETE";
  if (exchange.method() != "POST" && !forget) {
    co_return MethodNotAllowed(exchange.method(), session ? "POST, DELETE" : "POST");
  }
  if (auto body = co_await exchange.ReadBody(kMaxBodyBytes); !body.ok()) co_return body.status();
  if (forget) {
    HttpResponse response;
    response.status = 204;
    response.headers = {
        {"Set-Cookie", SessionCookie("", absl::ZeroDuration(), CameByHttps(exchange))},
        {"Cache-Control", "no-store"}};
    co_return response;
  }
  if (absl::Status signed_in = SignIn(exchange, scope); !signed_in.ok()) co_return signed_in;
  co_return session ? SetSession(exchange, scope) : IssueTicket(scope);
}

absl::Status SignInHandler::SignIn(const Exchange& exchange, RequestScope& scope) {
  const std::string address =
      ClientAddress(exchange.peer_address(), exchange.header("x-forwarded-for").value_or(""),
                    deps_.proxy_hops_count);
  if (absl::Status admitted = deps_.limits.Admit(address); !admitted.ok()) return admitted;
  const auto token = auth::BearerToken(exchange.header("authorization").value_or(""));
  if (!token.ok()) return token.status();
  auto principal = deps_.authenticator.AuthenticateToken(*token);
  if (!principal.ok()) {
    deps_.limits.CountFailedSignIn(address);
    return principal.status();
  }
  scope.principal = *std::move(principal);
  scope.bearer_token = std::string(*token);
  return absl::OkStatus();
}

absl::StatusOr<HttpResponse> SignInHandler::IssueTicket(const RequestScope& scope) {
  auto ticket = deps_.tickets.Issue(scope.principal->user, scope.bearer_token);
  if (!ticket.ok()) return ticket.status();
  HttpResponse response;
  response.status = 201;
  response.content_type = "application/json";
  response.headers = {{"Cache-Control", "no-store"}};
  response.body =
      absl::StrCat("{\"ticket\":\"", *ticket,
                   "\",\"expires_in_ms\":", absl::ToInt64Milliseconds(TicketStore::kLifetime), "}");
  return response;
}

absl::StatusOr<HttpResponse> SignInHandler::SetSession(const Exchange& exchange,
                                                       const RequestScope& scope) {
  if (scope.bearer_token.size() > kMaxSessionTokenBytes) {
    return status::Error(absl::StatusCode::kInvalidArgument, "TOKEN_TOO_LONG",
                         "the token does not fit a cookie (3,800 bytes); use a shorter one");
  }
  const absl::Time expires_at = scope.principal->expires_at;
  HttpResponse response;
  response.content_type = "application/json";
  response.headers = {
      {"Set-Cookie",
       SessionCookie(scope.bearer_token, expires_at - deps_.clock.Now(), CameByHttps(exchange))},
      {"Cache-Control", "no-store"}};
  response.body =
      absl::StrCat("{\"expires_at\":\"",
                   absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", expires_at, absl::UTCTimeZone()), "\"}");
  return response;
}

}  // namespace slipstream::edge
