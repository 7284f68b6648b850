// A REST request becomes one gRPC call: route, sign-in, bind, call, answer.
//
// Everything here follows from descriptors and their google.api.http and policy options; no route
// is written by hand. Unary answers are JSON; server streams are Server-Sent Events or NDJSON (by
// Accept) or, for google.api.HttpBody, the raw bytes; a body bound to HttpBody is streamed up.
//
// Thread safety: Handle runs for many exchanges at once.
#ifndef SERVICES_EDGE_REST_HANDLER_H_
#define SERVICES_EDGE_REST_HANDLER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/audit/audit_log.h"
#include "libs/auth/authenticator.h"
#include "libs/auth/permissions.h"
#include "services/edge/http/exchange.h"
#include "services/edge/notification_streams.h"
#include "services/edge/request_scope.h"
#include "services/edge/transcoder/method_catalog.h"
#include "services/edge/transcoder/route_table.h"
#include "services/edge/upstreams.h"

namespace slipstream::edge {

struct RestOptions {
  size_t max_json_body_bytes = 1 << 20;
  size_t max_upload_body_bytes = 100 << 20;
  absl::Duration default_timeout = absl::Seconds(10);
  // An upload may take as long as its client needs, up to this.
  absl::Duration upload_timeout = absl::Minutes(30);
  absl::Duration sse_heartbeat = absl::Seconds(15);
};

class RestHandler {
 public:
  struct Deps {
    const MethodCatalog& catalog;
    Upstreams& upstreams;
    auth::Authenticator& authenticator;
    const auth::PermissionMap& permissions;
    NotificationStreams& notifications;
    audit::AuditLog& audit;  // what is refused here never reaches the service's own log
  };

  // ALREADY_EXISTS when two templates conflict: the edge stops at start.
  static absl::StatusOr<std::unique_ptr<RestHandler>> Create(RestOptions options, Deps deps);

  // Answers the exchange; errors as problem+json.
  Async<void> Handle(Exchange& exchange, RequestScope& scope);

 private:
  RestHandler(RestOptions options, Deps deps, RouteTable routes)
      : options_(options), deps_(deps), routes_(std::move(routes)) {}

  Async<absl::Status> HandleOrFail(Exchange& exchange, RequestScope& scope);
  absl::Status SignIn(const CatalogMethod& method, const Exchange& exchange,
                      RequestScope& scope) const;
  void AuditDenial(const CatalogMethod& method, const Exchange& exchange, const RequestScope& scope,
                   const absl::Status& status) const;
  Async<absl::Status> Unary(Exchange& exchange, RequestScope& scope, const CatalogMethod& method,
                            const google::protobuf::Message& request);
  Async<absl::Status> Stream(Exchange& exchange, RequestScope& scope, const CatalogMethod& method,
                             const google::protobuf::Message& request);
  Async<absl::Status> Upload(Exchange& exchange, RequestScope& scope, const CatalogMethod& method,
                             const RequestBinder& binder,
                             std::unique_ptr<google::protobuf::Message> first);
  rpc::CallOptions OptionsFor(const RequestScope& scope, absl::Duration timeout) const;
  Async<void> RespondJson(Exchange& exchange, const CatalogMethod& method,
                          const google::protobuf::Message& response);

  const RestOptions options_;
  const Deps deps_;
  const RouteTable routes_;
};

// The problem+json answer to a failed request.
HttpResponse ProblemResponse(const absl::Status& status, const std::string& correlation_id);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_REST_HANDLER_H_
