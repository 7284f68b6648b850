#include "services/edge/websocket/websocket_server.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/edge/edge_metrics.h"
#include "services/edge/http/refuse_upgrade.h"
#include "services/edge/rest_handler.h"
#include "services/edge/websocket/close_codes.h"
#include "services/edge/websocket/websocket_session.h"

namespace slipstream::edge {

WebSocketServer::WebSocketServer(WebSocketOptions options, Deps deps)
    : options_(std::move(options)),
      deps_(std::move(deps)),
      open_gauge_(deps_.metrics.Add(kWebSocketConnections).With({})),
      closes_(deps_.metrics.Add(kWebSocketCloses)),
      scope_(deps_.executor) {}

WebSocketServer::~WebSocketServer() { Stop(); }

void WebSocketServer::Start() {
  scope_.Spawn([this]() -> Async<void> { co_await KeepTime(); });
}

void WebSocketServer::Stop() {
  Abort();
  scope_.Close();
}

Async<void> WebSocketServer::KeepTime() {
  // As fine as the shortest of the times needs.
  const absl::Duration period = std::clamp(
      std::min({options_.ping_interval, options_.auth_timeout, options_.idle_timeout}) / 8,
      absl::Milliseconds(10), absl::Milliseconds(500));
  while (co_await scope_.SleepFor(period)) {
    const absl::Duration now = deps_.clock.Monotonic();
    for (const auto& session : Sessions()) session->TickIfDue(now);
  }
}

Async<void> WebSocketServer::Serve(UpgradeRequest request) {
  const std::string address =
      ClientAddress(request.peer_address, request.forwarded_for, options_.proxy_hops_count);
  auto place = deps_.limits.Enter(address);
  if (!place.ok()) return RefuseUpgrade(std::move(request), ProblemResponse(place.status(), ""));
  request.peer_address = address;
  auto session = std::make_shared<WebSocketSession>(*this, std::move(request), *std::move(place));
  if (!Add(session)) session->RequestClose(kCloseTooManyConnections, "the edge is full or ending");
  return Run(std::move(session));
}

Async<void> WebSocketServer::Run(std::shared_ptr<WebSocketSession> session) {
  open_gauge_.Add(1);
  co_await session->Run();
  open_gauge_.Add(-1);
  Remove(session);
}

std::vector<std::shared_ptr<WebSocketSession>> WebSocketServer::Sessions() const {
  sync::MutexLock lock(mutex_);
  return {sessions_.begin(), sessions_.end()};
}

void WebSocketServer::Drain() {
  {
    sync::MutexLock lock(mutex_);
    draining_ = true;
  }
  for (const auto& session : Sessions()) session->RequestClose(kCloseGoingAway, "reconnect");
}

void WebSocketServer::Abort() {
  for (const auto& session : Sessions()) session->Abort();
}

int WebSocketServer::open_connections() const {
  sync::MutexLock lock(mutex_);
  return static_cast<int>(sessions_.size());
}

bool WebSocketServer::Add(const std::shared_ptr<WebSocketSession>& session) {
  sync::MutexLock lock(mutex_);
  const bool full = sessions_.size() >= static_cast<size_t>(options_.max_connections_count);
  // Known in any case, so that Stop reaches it; it is about to close when it may not stay.
  sessions_.insert(session);
  return !draining_ && !full;
}

void WebSocketServer::Remove(const std::shared_ptr<WebSocketSession>& session) {
  sync::MutexLock lock(mutex_);
  sessions_.erase(session);
}

bool WebSocketServer::TakeDeflate() {
  sync::MutexLock lock(mutex_);
  if (deflate_count_ >= options_.max_deflate_connections_count) return false;
  ++deflate_count_;
  return true;
}

void WebSocketServer::GiveDeflateBack() {
  sync::MutexLock lock(mutex_);
  --deflate_count_;
}

bool WebSocketServer::OriginAllowed(const UpgradeRequest& request) const {
  if (request.origin.empty()) return true;  // not a browser
  if (request.origin == absl::StrCat("http://", request.host) ||
      request.origin == absl::StrCat("https://", request.host)) {
    return true;
  }
  return std::find(options_.allowed_origins.begin(), options_.allowed_origins.end(),
                   request.origin) != options_.allowed_origins.end();
}

void WebSocketServer::CountClose(uint16_t code) const {
  closes_.With({absl::StrCat(code)}).Increment();
}

}  // namespace slipstream::edge
