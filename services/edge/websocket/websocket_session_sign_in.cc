// How a client of WebSocketSession signs in, says what it wants, and renews its token.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "nlohmann/json.hpp"
#include "services/edge/transcoder/percent.h"
#include "services/edge/websocket/close_codes.h"
#include "services/edge/websocket/session_message.h"
#include "services/edge/websocket/websocket_session.h"

namespace slipstream::edge {

namespace {

// More than there are types of events, so that one too many is still told of.
constexpr size_t kMaxQueryValues_count = 16;

// The values of a query parameter, in their order; at most kMaxQueryValues_count.
std::vector<std::string> QueryValues(std::string_view query, std::string_view name) {
  std::vector<std::string> values;
  while (!query.empty() && values.size() < kMaxQueryValues_count) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(part.size() + 1, query.size()));
    if (part.size() > name.size() && part.starts_with(name) && part[name.size()] == '=') {
      std::string value;
      if (PercentDecode(part.substr(name.size() + 1), PercentDecoding::kQuery, &value)) {
        values.push_back(std::move(value));
      }
    }
  }
  return values;
}

// The first of them, or empty.
std::string QueryValue(std::string_view query, std::string_view name) {
  std::vector<std::string> values = QueryValues(query, name);
  return values.empty() ? std::string() : std::move(values.front());
}

}  // namespace

Async<std::optional<SubscriptionRequest>> WebSocketSession::SignIn() {
  SubscriptionRequest out;
  out.cursor = QueryValue(request_->query, "cursor");
  out.types = QueryValues(request_->query, "types");
  if (!request_->authorization.empty()) {
    out.token =
        std::string(auth::BearerToken(request_->authorization).value_or(std::string_view()));
  } else if (const std::string ticket = QueryValue(request_->query, "ticket"); !ticket.empty()) {
    auto redeemed = server_.deps().tickets.Redeem(ticket);
    if (!redeemed) {
      place_.CountFailedSignIn();
      Close(kCloseUnauthenticated, "TICKET_INVALID: unknown, used or expired");
      co_return std::nullopt;
    }
    out.token = *std::move(redeemed);
  } else if (!co_await ReadAuth(&out)) {
    co_return std::nullopt;
  }
  if (!Authenticate(out.token)) co_return std::nullopt;
  co_return out;
}

Async<bool> WebSocketSession::ReadAuth(SubscriptionRequest* out) {
  const auto text = co_await ReadMessage();
  if (!text) co_return false;
  const auto message = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!message.is_object() || Member(message, "type") != "auth") {
    place_.CountFailedSignIn();
    Close(kCloseUnauthenticated, "the first message must be {\"type\":\"auth\",\"token\":\"...\"}");
    co_return false;
  }
  auto types = Texts(message, "types");
  if (!types) {
    Close(kClosePolicy, "INVALID_TYPES: a list of types of events");
    co_return false;
  }
  if (!types->empty()) out->types = *std::move(types);
  if (std::string cursor = Member(message, "cursor"); !cursor.empty()) {
    out->cursor = std::move(cursor);
  }
  out->token = Member(message, "token");
  co_return true;
}

bool WebSocketSession::Authenticate(const std::string& token) {
  auto principal = server_.deps().authenticator.AuthenticateToken(token);
  if (!principal.ok()) {
    place_.CountFailedSignIn();
    Close(kCloseUnauthenticated, status::Reason(principal.status()));
    return false;
  }
  if (absl::Status place = place_.SignIn((*principal)->user); !place.ok()) {
    Close(kCloseTooManyConnections, "this user has too many connections");
    return false;
  }
  user_ = (*principal)->user;
  tenant_ = (*principal)->tenant;
  expires_at_ = (*principal)->expires_at;
  DueAt(Now());  // the token may be about to expire
  return true;
}

void WebSocketSession::Refresh(const nlohmann::json& message) {
  std::string token = Member(message, "token");
  auto principal = server_.deps().authenticator.AuthenticateToken(token);
  if (!principal.ok()) {
    place_.CountFailedSignIn();
    Close(kCloseUnauthenticated, status::Reason(principal.status()));
    return;
  }
  if ((*principal)->user != user_ || (*principal)->tenant != tenant_) {
    Close(kCloseForbidden, "the new token is of another user or tenant; connect again with it");
    return;
  }
  expires_at_ = (*principal)->expires_at;
  notice_given_ = false;
  DueAt(Now());
  server_.deps().hub.Refresh(subscription_, std::move(token));
  Send(EncodeText(
      absl::StrCat("{\"type\":\"refreshed\",\"expires_at\":\"", TimeText(expires_at_), "\"}")));
}

}  // namespace slipstream::edge
