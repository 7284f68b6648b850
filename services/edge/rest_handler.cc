#include "services/edge/rest_handler.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/arena.h"
#include "libs/status/status.h"
#include "libs/sync/deadline.h"
#include "services/edge/sign_in/session_cookie.h"
#include "services/edge/stream_answer.h"
#include "services/edge/transcoder/json_writer.h"
#include "services/edge/transcoder/problem.h"

namespace slipstream::edge {

namespace {

using google::protobuf::Message;

absl::Status RouteProblem(const RouteMatch& match, const Exchange& exchange) {
  switch (match.outcome) {
    case RouteMatch::Outcome::kMethodNotAllowed:
      return MethodNotAllowed(exchange.method(), match.allow);
    case RouteMatch::Outcome::kBadPath:
      return status::FieldError("path", match.error);
    default:
      return RouteNotFound(exchange.method(), exchange.path());
  }
}

}  // namespace

HttpResponse ProblemResponse(const absl::Status& status, const std::string& correlation_id) {
  const Problem problem = MakeProblem(status, correlation_id);
  HttpResponse response;
  response.status = problem.http_status;
  response.content_type = std::string(kProblemContentType);
  response.body = problem.body;
  if (problem.retry_after_s) {
    response.headers.emplace_back("Retry-After", absl::StrCat(*problem.retry_after_s));
  }
  if (problem.http_status == 401) {
    response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"slipstream\"");
  }
  return response;
}

absl::StatusOr<std::unique_ptr<RestHandler>> RestHandler::Create(RestOptions options, Deps deps) {
  auto routes = deps.catalog.BuildRoutes();
  if (!routes.ok()) return routes.status();
  return std::unique_ptr<RestHandler>(new RestHandler(options, deps, *std::move(routes)));
}

Async<void> RestHandler::Handle(Exchange& exchange, RequestScope& scope) {
  const absl::Status status = co_await HandleOrFail(exchange, scope);
  if (status.ok() || exchange.answered()) co_return;
  HttpResponse response = ProblemResponse(status, scope.correlation_id);
  if (status::Reason(status) == kReasonMethodNotAllowed) {
    if (auto allow = status::Metadata(status, "allow")) {
      response.headers.emplace_back("Allow", *allow);
    }
  }
  co_await exchange.Respond(std::move(response));
}

Async<absl::Status> RestHandler::HandleOrFail(Exchange& exchange, RequestScope& scope) {
  const RouteMatch match = routes_.Find(exchange.method(), exchange.path());
  if (!match.found()) co_return RouteProblem(match, exchange);
  const Endpoint& endpoint = deps_.catalog.endpoints()[match.target];
  const CatalogMethod& method = deps_.catalog.methods()[endpoint.method];
  scope.route = method.name;
  if (absl::Status status = SignIn(method, exchange, scope); !status.ok()) co_return status;

  HttpRequestParts parts;
  parts.path_variables = &match.variables;
  parts.query = exchange.query();
  parts.content_type = exchange.header("content-type").value_or("");
  parts.header = [&exchange](std::string_view name) { return exchange.header(name); };
  const bool upload = method.streaming == StreamingKind::kClient && endpoint.binder.raw_body();
  std::string body;
  if (!upload) {
    auto read = co_await exchange.ReadBody(options_.max_json_body_bytes);
    if (!read.ok()) co_return read.status();
    body = *std::move(read);
    parts.body = body;
  }
  auto request = deps_.catalog.NewMessage(*method.descriptor->input_type());
  if (absl::Status status = endpoint.binder.Bind(parts, request.get()); !status.ok()) {
    co_return status;
  }
  if (upload) {
    co_return co_await Upload(exchange, scope, method, endpoint.binder, std::move(request));
  }
  if (method.streaming == StreamingKind::kServer) {
    scope.streamed = true;
    co_return co_await Stream(exchange, scope, method, *request);
  }
  if (method.streaming != StreamingKind::kUnary) {
    co_return status::Error(absl::StatusCode::kUnimplemented, "NOT_ON_REST",
                            "this method streams in both directions; call it by gRPC");
  }
  co_return co_await Unary(exchange, scope, method, *request);
}

absl::Status RestHandler::SignIn(const CatalogMethod& method, const Exchange& exchange,
                                 RequestScope& scope) const {
  const std::string_view authorization = exchange.header("authorization").value_or("");
  if (authorization.empty() && method.open) return absl::OkStatus();
  // A cookie is sent whoever asks the browser to, so it counts only where nothing is changed.
  const std::string_view cookie_token = authorization.empty() &&
                                                method.streaming == StreamingKind::kServer &&
                                                exchange.method() == "GET"
                                            ? SessionToken(exchange.header("cookie").value_or(""))
                                            : "";
  absl::StatusOr<std::string_view> token = cookie_token;
  if (cookie_token.empty()) token = auth::BearerToken(authorization);
  if (!token.ok()) return token.status();
  auto principal = deps_.authenticator.AuthenticateToken(*token);
  if (!principal.ok()) return principal.status();
  scope.principal = *std::move(principal);
  scope.bearer_token = std::string(*token);
  if (method.open) return absl::OkStatus();
  absl::Status allowed = deps_.permissions.Check(*scope.principal, method.permission);
  if (!allowed.ok()) AuditDenial(method, exchange, scope, allowed);
  return allowed;
}

void RestHandler::AuditDenial(const CatalogMethod& method, const Exchange& exchange,
                              const RequestScope& scope, const absl::Status& status) const {
  audit::AuditEntry entry;
  entry.user = scope.principal->user;
  entry.tenant = scope.principal->tenant;
  entry.action = method.grpc_path.substr(1);
  entry.target = std::string(exchange.path());
  entry.result = audit::ResultOf(status);
  entry.code = absl::StatusCodeToString(status.code());
  entry.reason = status::Reason(status);
  entry.correlation_id = scope.correlation_id;
  entry.service = "edge";
  entry.peer = exchange.peer_address();
  deps_.audit.Record(std::move(entry));
}

rpc::CallOptions RestHandler::OptionsFor(const RequestScope& scope, absl::Duration timeout) const {
  rpc::CallOptions options;
  options.timeout = timeout;
  options.bearer_token = scope.bearer_token;
  options.traceparent = trace::FormatTraceparent(scope.trace);
  options.correlation_id = scope.correlation_id;
  return options;
}

Async<absl::Status> RestHandler::Unary(Exchange& exchange, RequestScope& scope,
                                       const CatalogMethod& method, const Message& request) {
  const absl::Duration timeout = method.default_deadline_ms > 0
                                     ? absl::Milliseconds(method.default_deadline_ms)
                                     : options_.default_timeout;
  auto response = deps_.catalog.NewMessage(*method.descriptor->output_type());
  const absl::Status status = co_await deps_.upstreams.Call(
      method.service, method.grpc_path, OptionsFor(scope, timeout), request, response.get());
  if (!status.ok()) co_return status;
  co_await RespondJson(exchange, method, *response);
  co_return absl::OkStatus();
}

Async<void> RestHandler::RespondJson(Exchange& exchange, const CatalogMethod& method,
                                     const Message& response) {
  HttpResponse out;
  out.status = method.success_status;
  out.content_type = "application/json";
  if (absl::Status status = WriteJson(response, &out.body); !status.ok()) {
    out = ProblemResponse(status, "");
  }
  co_await exchange.Respond(std::move(out));
}

Async<absl::Status> RestHandler::Stream(Exchange& exchange, RequestScope& scope,
                                        const CatalogMethod& method, const Message& request) {
  const absl::Duration timeout = method.default_deadline_ms > 0
                                     ? absl::Milliseconds(method.default_deadline_ms)
                                     : absl::InfiniteDuration();
  if (method.grpc_path == NotificationStreams::kGrpcPath) {
    co_return co_await deps_.notifications.Answer(exchange, scope, request);
  }
  auto stream = deps_.upstreams.Open(method.service, method.grpc_path, OptionsFor(scope, timeout));
  if (co_await stream->Write(request)) stream->WritesDone();
  const auto format =
      ChooseStreamFormat(*method.descriptor->output_type(), exchange.header("accept").value_or(""));
  auto message = deps_.catalog.NewMessage(*method.descriptor->output_type());
  co_return co_await AnswerStream(exchange, *stream, format, options_.sse_heartbeat,
                                  scope.correlation_id, message.get());
}

Async<absl::Status> RestHandler::Upload(Exchange& exchange, RequestScope& scope,
                                        const CatalogMethod& method, const RequestBinder& binder,
                                        std::unique_ptr<Message> first) {
  auto stream = deps_.upstreams.Open(method.service, method.grpc_path,
                                     OptionsFor(scope, options_.upload_timeout));
  absl::Status failed;
  bool open = co_await stream->Write(*first);
  const sync::Deadline deadline(options_.upload_timeout);
  while (open) {
    if (deadline.Passed()) {
      failed = status::Error(absl::StatusCode::kDeadlineExceeded, "UPLOAD_TOO_SLOW",
                             "the upload took longer than an upload may; try a faster connection");
      break;
    }
    auto piece = co_await exchange.ReadBodyPiece(options_.max_upload_body_bytes);
    if (!piece.ok()) {
      failed = piece.status();
      break;
    }
    if (piece->empty()) break;
    auto message = deps_.catalog.NewMessage(*method.descriptor->input_type());
    failed = binder.BindRawChunk(*piece, message.get());
    if (!failed.ok()) break;
    open = co_await stream->Write(*message);
  }
  // A body that was not whole must not look like the end of a good one.
  if (failed.ok()) {
    stream->WritesDone();
  } else {
    stream->Cancel();
  }
  auto response = deps_.catalog.NewMessage(*method.descriptor->output_type());
  auto scratch = deps_.catalog.NewMessage(*method.descriptor->output_type());
  bool answered = false;
  while (co_await stream->Read(scratch.get())) {
    std::swap(response, scratch);
    answered = true;
  }
  if (!failed.ok()) co_return failed;
  if (!stream->status().ok()) co_return stream->status();
  if (!answered) {
    co_return status::Error(absl::StatusCode::kInternal, "UPSTREAM_MALFORMED",
                            "the service behind the edge ended without an answer");
  }
  co_await RespondJson(exchange, method, *response);
  co_return absl::OkStatus();
}

}  // namespace slipstream::edge
