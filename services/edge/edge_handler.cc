#include "services/edge/edge_handler.h"

#include <algorithm>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "libs/rpc/stages/trace_stage.h"
#include "libs/status/status.h"
#include "services/edge/edge_metrics.h"
#include "services/edge/http/refuse_upgrade.h"
#include "services/edge/transcoder/problem.h"

namespace slipstream::edge {

namespace {

constexpr char kWebSocketPath[] = "/ws";

// RFC 6455, section 4.2.1.
bool IsHandshakeKey(std::string_view key) {
  std::string nonce;
  return absl::Base64Unescape(absl::string_view(key.data(), key.size()), &nonce) &&
         nonce.size() == 16;
}

std::string_view WithoutTrailingSlash(std::string_view path) {
  if (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path;
}

}  // namespace

EdgeHandler::EdgeHandler(Deps deps)
    : deps_(std::move(deps)),
      requests_(deps_.metrics.Add(kHttpRequests)),
      seconds_(deps_.metrics.Add(kHttpSeconds)) {}

RequestScope EdgeHandler::MakeScope(const Exchange& exchange) {
  RequestScope scope;
  scope.started_at = deps_.clock.Now();
  scope.correlation_id =
      rpc::CorrelationIdOf(exchange.header("x-request-id").value_or(""), deps_.clock, deps_.random);
  scope.trace = trace::ContinueOrStart(exchange.header(trace::kTraceparent).value_or(""),
                                       exchange.header(trace::kTracestate).value_or(""),
                                       deps_.random, /*sample_new_root=*/true);
  return scope;
}

Async<void> EdgeHandler::Handle(Exchange& exchange) {
  RequestScope scope = MakeScope(exchange);
  exchange.SetHeader("X-Request-Id", scope.correlation_id);
  exchange.SetHeader("X-Content-Type-Options", "nosniff");
  exchange.SetHeader("X-Frame-Options", "DENY");
  exchange.SetHeader("Referrer-Policy", "no-referrer");
  if (!co_await HandleCors(exchange)) co_await Route(exchange, scope);
  Observe(exchange, scope);
}

Async<bool> EdgeHandler::HandleCors(Exchange& exchange) {
  const auto origin = exchange.header("origin");
  if (!origin) co_return false;
  const auto& allowed = deps_.cors_allowed_origins;
  if (std::find(allowed.begin(), allowed.end(), *origin) == allowed.end()) co_return false;
  exchange.SetHeader("Access-Control-Allow-Origin", std::string(*origin));
  exchange.SetHeader("Vary", "Origin");
  exchange.SetHeader("Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
  if (exchange.method() != "OPTIONS" || !exchange.header("access-control-request-method")) {
    co_return false;
  }
  HttpResponse preflight;
  preflight.status = 204;
  preflight.headers = {{"Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE"},
                       {"Access-Control-Allow-Headers",
                        "authorization, content-type, idempotency-key, last-event-id, range, "
                        "traceparent, x-request-id"},
                       {"Access-Control-Max-Age", "600"}};
  co_await exchange.Respond(std::move(preflight));
  co_return true;
}

Async<void> EdgeHandler::Route(Exchange& exchange, RequestScope& scope) {
  const std::string_view path = WithoutTrailingSlash(exchange.path());
  if (path == kWebSocketPath) {
    co_await exchange.Respond(ProblemResponse(
        status::Error(absl::StatusCode::kInvalidArgument, "WEBSOCKET_EXPECTED",
                      "this path speaks WebSocket; send an Upgrade request (RFC 6455)"),
        scope.correlation_id));
    co_return;
  }
  if (SignInHandler::Serves(path)) {
    auto answer = co_await deps_.sign_in.Handle(exchange, scope, path);
    co_await exchange.Respond(answer.ok() ? *std::move(answer)
                                          : ProblemResponse(answer.status(), scope.correlation_id));
    co_return;
  }
  const auto page = deps_.pages.find(path);
  if (page == deps_.pages.end()) {
    co_await deps_.rest.Handle(exchange, scope);
    co_return;
  }
  scope.route = page->first;
  HttpResponse response;
  if (exchange.method() != "GET" && exchange.method() != "HEAD") {
    response =
        ProblemResponse(MethodNotAllowed(exchange.method(), "GET, HEAD"), scope.correlation_id);
    response.headers.emplace_back("Allow", "GET, HEAD");
  } else {
    response.content_type = page->second.content_type;
    response.body = page->second.body;
    response.headers = {{"Cache-Control", "no-cache"}};
    if (!page->second.content_security_policy.empty()) {
      response.headers.emplace_back("Content-Security-Policy",
                                    page->second.content_security_policy);
    }
  }
  co_await exchange.Respond(std::move(response));
}

void EdgeHandler::Observe(const Exchange& exchange, const RequestScope& scope) {
  const int status = exchange.answered_status();
  requests_.With({scope.route, absl::StrCat(status)}).Increment();
  const absl::Time now = deps_.clock.Now();
  // The wall clock may have been set back.
  const absl::Duration took = std::max(now - scope.started_at, absl::ZeroDuration());
  if (!scope.streamed) {
    seconds_.With({scope.route}).Observe(absl::ToDoubleSeconds(took));
    // Without a status the client went away unanswered.
    if (exchange.answered()) {
      deps_.reporter.RecordRequest({.service = "edge",
                                    .route = scope.route,
                                    .http_status = status,
                                    .duration = took,
                                    .finished_at = now});
    }
  }
  const logging::Level level = status >= 500 ? logging::Level::kWarning : logging::Level::kDebug;
  if (!deps_.logger.Enabled(level)) return;
  const auto log =
      deps_.logger.WithCall(scope.trace.trace_id, scope.trace.span_id, scope.correlation_id);
  const std::string user = scope.principal ? scope.principal->user : "";
  const logging::Fields fields = {{"method", exchange.method()},
                                  {"route", scope.route},
                                  {"status", status},
                                  {"user", user},
                                  {"peer", exchange.peer_address()},
                                  {"duration_ms", absl::ToDoubleMilliseconds(took)}};
  if (level == logging::Level::kWarning) {
    log.Warning("http", fields);
  } else {
    log.Debug("http", fields);
  }
}

std::optional<HttpResponse> EdgeHandler::RefusalOf(const UpgradeRequest& request) const {
  if (WithoutTrailingSlash(request.path) != kWebSocketPath) {
    return ProblemResponse(RouteNotFound("GET", request.path), "");
  }
  if (!IsHandshakeKey(request.websocket_key)) {
    return ProblemResponse(
        status::Error(
            absl::StatusCode::kInvalidArgument, "WEBSOCKET_KEY",
            "Sec-WebSocket-Key must be 16 random bytes in base64 (RFC 6455, section 4.1)"),
        "");
  }
  if (!deps_.websocket.OriginAllowed(request)) {
    return ProblemResponse(
        status::Error(absl::StatusCode::kPermissionDenied, "ORIGIN_REFUSED",
                      "this origin may not open a WebSocket; an administrator can add it to "
                      "edge.cors_allowed_origins"),
        "");
  }
  return std::nullopt;
}

Async<void> EdgeHandler::HandleUpgrade(UpgradeRequest request) {
  if (auto refusal = RefusalOf(request)) {
    return RefuseUpgrade(std::move(request), *std::move(refusal));
  }
  return deps_.websocket.Serve(std::move(request));
}

}  // namespace slipstream::edge
