#include "services/edge/edge_module.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "google/protobuf/descriptor.pb.h"
#include "libs/service/context.h"
#include "services/edge/edge_handler.h"
#include "services/edge/edge_metrics.h"
#include "services/edge/http/http_server.h"
#include "services/edge/notification_streams.h"
#include "services/edge/notifications/notification_hub.h"
#include "services/edge/pages/pages.h"
#include "services/edge/rest_handler.h"
#include "services/edge/sign_in/connection_limits.h"
#include "services/edge/sign_in/sign_in_handler.h"
#include "services/edge/sign_in/ticket_store.h"
#include "services/edge/transcoder/openapi.h"
#include "services/edge/upstreams.h"
#include "services/edge/websocket/websocket_server.h"
#include "slipstream/config/v1/config.pb.h"

namespace slipstream::edge {

namespace {

RestOptions RestOptionsOf(const config::v1::Config& config) {
  RestOptions options;
  options.max_json_body_bytes = config.edge().max_json_body_bytes();
  options.max_upload_body_bytes = config.edge().max_upload_body_bytes();
  options.default_timeout = absl::Milliseconds(config.rpc().default_deadline_ms());
  options.sse_heartbeat = absl::Milliseconds(config.edge().sse_heartbeat_ms());
  return options;
}

WebSocketOptions WebSocketOptionsOf(const config::v1::Config& all) {
  const auto& config = all.edge();
  const auto& ws = config.websocket();
  WebSocketOptions options;
  options.max_message_bytes = ws.max_message_bytes();
  options.queue_bytes = ws.queue_bytes();
  options.max_connections_count = ws.max_connections_count();
  options.max_deflate_connections_count = ws.max_deflate_connections_count();
  options.refresh_notice = absl::Milliseconds(ws.refresh_notice_ms());
  options.token_leeway = absl::Seconds(all.auth().leeway_s());
  options.proxy_hops_count = config.proxy_hops_count();
  options.auth_timeout = absl::Milliseconds(ws.auth_timeout_ms());
  options.idle_timeout = absl::Milliseconds(ws.idle_timeout_ms());
  options.ping_interval = absl::Milliseconds(ws.ping_interval_ms());
  options.write_timeout = absl::Milliseconds(config.write_timeout_ms());
  options.max_incoming_per_minute_count = ws.max_incoming_per_minute_count();
  options.allowed_origins.assign(config.cors_allowed_origins().begin(),
                                 config.cors_allowed_origins().end());
  return options;
}

ConnectionLimitOptions LimitOptionsOf(const config::v1::EdgeConfig& edge) {
  const auto& config = edge.websocket();
  ConnectionLimitOptions options;
  options.behind_proxies = edge.proxy_hops_count() > 0;
  options.max_user_connections_count = config.max_user_connections_count();
  options.max_address_connections_count = config.max_address_connections_count();
  options.max_address_handshakes_per_minute_count =
      config.max_address_handshakes_per_minute_count();
  options.max_address_failed_sign_ins_per_minute_count =
      config.max_address_failed_sign_ins_per_minute_count();
  return options;
}

OpenApiInfo OpenApi() {
  OpenApiInfo info;
  info.own_paths_json = std::string(OwnOperationsJson());
  return info;
}

HttpServerOptions HttpOptionsOf(const config::v1::EdgeConfig& config) {
  HttpServerOptions options;
  options.address = config.http_address();
  options.max_header_bytes = config.max_header_bytes();
  options.max_connections_count = config.max_connections_count();
  options.idle_timeout = absl::Milliseconds(config.idle_timeout_ms());
  options.read_timeout = absl::Milliseconds(config.read_timeout_ms());
  options.write_timeout = absl::Milliseconds(config.write_timeout_ms());
  return options;
}

class EdgeModule final : public service::Module {
 public:
  EdgeModule(service::Context& context, std::unique_ptr<MethodCatalog> catalog)
      : context_(context),
        catalog_(std::move(catalog)),
        upstreams_(context.peers),
        limits_(LimitOptionsOf(context.config.edge()), context.clock),
        tickets_(context.clock, context.random),
        hub_({context.peers, context.runtime.executor(), context.clock, context.logger}),
        sign_in_({context.authenticator, tickets_, limits_, context.clock,
                  context.config.edge().proxy_hops_count()}),
        streams_(
            {.queue_bytes = static_cast<size_t>(context.config.edge().websocket().queue_bytes()),
             .heartbeat = absl::Milliseconds(context.config.edge().sse_heartbeat_ms()),
             .proxy_hops_count = context.config.edge().proxy_hops_count()},
            {hub_, limits_}),
        websocket_(WebSocketOptionsOf(context.config),
                   {context.authenticator, hub_, limits_, tickets_, context.clock, context.metrics,
                    context.logger, context.runtime.executor()}) {}
  ~EdgeModule() override { Stop(); }

  absl::Status Init() {
    auto rest = RestHandler::Create(RestOptionsOf(context_.config),
                                    {*catalog_, upstreams_, context_.authenticator,
                                     context_.permissions, streams_, context_.audit});
    if (!rest.ok()) return rest.status();
    rest_ = *std::move(rest);
    const auto& origins = context_.config.edge().cors_allowed_origins();
    handler_ = std::make_unique<EdgeHandler>(
        EdgeHandler::Deps{.rest = *rest_,
                          .websocket = websocket_,
                          .sign_in = sign_in_,
                          .clock = context_.clock,
                          .random = context_.random,
                          .metrics = context_.metrics,
                          .logger = context_.logger,
                          .reporter = context_.reporter,
                          .pages = MakePages(MakeOpenApi({catalog_.get()}, OpenApi())),
                          .cors_allowed_origins = {origins.begin(), origins.end()}});
    server_ = std::make_unique<HttpServer>(
        HttpOptionsOf(context_.config.edge()),
        HttpServer::Deps{*handler_, limits_, context_.runtime.executor(), context_.logger});
    connections_ = context_.metrics.AddCollector([this](metrics::Samples& out) {
      out.Add(kHttpConnections, static_cast<double>(server_->open_connections()));
      const HttpServer::Refused refused = server_->refused_connections();
      out.Add(kRefusedConnections, static_cast<double>(refused.for_address_count), {"address"});
      out.Add(kRefusedConnections, static_cast<double>(refused.for_edge_count), {"edge"});
    });
    return absl::OkStatus();
  }

  absl::Status Start() override {
    if (absl::Status status = server_->Start(); !status.ok()) return status;
    websocket_.Start();
    context_.logger.Info("edge listens", {{"port", server_->port()}});
    return absl::OkStatus();
  }

  void Drain(absl::Time deadline) override {
    server_->StopListening();
    websocket_.Drain();
    streams_.Drain();
    const absl::Duration left = deadline - context_.clock.Now();
    // What ends by itself may; then a client that does not read is not waited for.
    const absl::Duration grace = std::max(left / 2, absl::ZeroDuration());
    if (!server_->WaitForEnd(grace)) websocket_.Abort();
    server_->Stop();
  }

  void Stop() override {
    websocket_.Stop();
    streams_.Drain();
    if (server_) server_->Stop();
    hub_.Stop();
  }

 private:
  service::Context& context_;
  const std::unique_ptr<MethodCatalog> catalog_;
  Upstreams upstreams_;
  ConnectionLimits limits_;
  TicketStore tickets_;
  NotificationHub hub_;
  SignInHandler sign_in_;
  NotificationStreams streams_;
  WebSocketServer websocket_;
  std::unique_ptr<RestHandler> rest_;
  std::unique_ptr<EdgeHandler> handler_;
  std::unique_ptr<HttpServer> server_;
  metrics::Registry::Registration connections_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<service::Module>> MakeEdgeModule(service::Context& context) {
  google::protobuf::FileDescriptorSet files;
  if (!files.ParseFromArray(DescriptorSetBytes().data(),
                            static_cast<int>(DescriptorSetBytes().size()))) {
    return absl::InternalError("the descriptor set built into this binary cannot be read");
  }
  auto catalog = MethodCatalog::Create(files, {"slipstream."});
  if (!catalog.ok()) return catalog.status();
  auto module = std::make_unique<EdgeModule>(context, *std::move(catalog));
  if (absl::Status status = module->Init(); !status.ok()) return status;
  return module;
}

}  // namespace slipstream::edge
