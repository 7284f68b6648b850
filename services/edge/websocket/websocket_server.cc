#include "services/edge/websocket/websocket_server.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/edge/edge_metrics.h"
#include "services/edge/websocket/close_codes.h"
#include "services/edge/websocket/websocket_session.h"

namespace slipstream::edge {

WebSocketServer::WebSocketServer(WebSocketOptions options, Deps deps)
    : options_(std::move(options)),
      deps_(std::move(deps)),
      open_gauge_(deps_.metrics.Add(kWebSocketConnections).With({})),
      closes_(deps_.metrics.Add(kWebSocketCloses)) {}

Async<void> WebSocketServer::Serve(UpgradeRequest request) {
  auto session = std::make_shared<WebSocketSession>(*this, std::move(request));
  if (!Add(session)) session->RequestClose(kCloseTooManyConnections, "the edge is full or ending");
  open_gauge_.Add(1);
  co_await session->Run();
  open_gauge_.Add(-1);
  Remove(session);
}

void WebSocketServer::Drain() {
  std::set<std::shared_ptr<WebSocketSession>> sessions;
  {
    sync::MutexLock lock(mutex_);
    draining_ = true;
    sessions = sessions_;
  }
  for (const auto& session : sessions) session->RequestClose(kCloseGoingAway, "reconnect");
}

void WebSocketServer::Abort() {
  std::set<std::shared_ptr<WebSocketSession>> sessions;
  {
    sync::MutexLock lock(mutex_);
    sessions = sessions_;
  }
  for (const auto& session : sessions) session->Abort();
}

int WebSocketServer::open_connections() const {
  sync::MutexLock lock(mutex_);
  return static_cast<int>(sessions_.size());
}

bool WebSocketServer::Add(const std::shared_ptr<WebSocketSession>& session) {
  sync::MutexLock lock(mutex_);
  if (draining_ || sessions_.size() >= static_cast<size_t>(options_.max_connections_count)) {
    return false;
  }
  sessions_.insert(session);
  return true;
}

void WebSocketServer::Remove(const std::shared_ptr<WebSocketSession>& session) {
  sync::MutexLock lock(mutex_);
  sessions_.erase(session);
}

bool WebSocketServer::AddUser(const std::string& user) {
  sync::MutexLock lock(mutex_);
  int& count = users_[user];
  if (count >= options_.max_user_connections_count) return false;
  ++count;
  return true;
}

void WebSocketServer::RemoveUser(const std::string& user) {
  sync::MutexLock lock(mutex_);
  auto it = users_.find(user);
  if (it != users_.end() && --it->second == 0) users_.erase(it);
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
