#include "services/edge/websocket/websocket_session.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/async/deadline.h"
#include "libs/status/status.h"
#include "nlohmann/json.hpp"
#include "services/edge/transcoder/json_writer.h"
#include "services/edge/transcoder/percent.h"
#include "services/edge/transcoder/problem.h"
#include "services/edge/websocket/close_codes.h"
#include "slipstream/notification/v1/notification.pb.h"

namespace slipstream::edge {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr char kService[] = "slipstream.notification.v1.NotificationService";
constexpr char kSubscribe[] = "/slipstream.notification.v1.NotificationService/Subscribe";
// RFC 6455: a close frame's payload is at most 125 bytes, two of which are the code.
constexpr size_t kMaxReasonBytes = 123;

void Rethrow(std::exception_ptr error) {
  if (error) std::rethrow_exception(error);
}

uint16_t CodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
      return kCloseUnauthenticated;
    case absl::StatusCode::kPermissionDenied:
      return kCloseForbidden;
    case absl::StatusCode::kInvalidArgument:
      return kClosePolicy;
    case absl::StatusCode::kResourceExhausted:
      return status::Reason(status) == "SLOW_READER" ? kCloseSlowReader : kCloseTooManyConnections;
    default:
      return kCloseUpstream;
  }
}

// The value of one query parameter, or empty.
std::string QueryValue(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(part.size() + 1, query.size()));
    if (part.size() > name.size() && part.starts_with(name) && part[name.size()] == '=') {
      std::string value;
      if (PercentDecode(part.substr(name.size() + 1), PercentDecoding::kQuery, &value))
        return value;
    }
  }
  return "";
}

// The text member `name` of a message, or empty.
std::string Member(const nlohmann::json& message, const char* name) {
  auto it = message.find(name);
  return it != message.end() && it->is_string() ? it->get<std::string>() : std::string();
}

}  // namespace

WebSocketSession::WebSocketSession(WebSocketServer& server, UpgradeRequest request)
    : server_(server),
      connection_(request.connection),
      request_(std::move(request)),
      ws_(std::move(connection_->stream)),
      write_guard_(ws_.get_executor()) {}

Async<void> WebSocketSession::Run() {
  if (!co_await Accept()) co_return;
  open_ = true;
  last_received_ = minute_started_ = Now();
  auto self = shared_from_this();
  auto executor = co_await asio::this_coro::executor;
  writing_ = true;
  asio::co_spawn(executor, [](auto s) -> Async<void> { co_await s->WriteLoop(); }(self), Rethrow);
  if (co_await SignIn()) {
    rpc::CallOptions options;
    options.timeout = absl::InfiniteDuration();
    options.bearer_token = token_;
    stream_ = server_.deps().upstreams.Open(kService, kSubscribe, options);
    slipstream::notification::v1::SubscribeRequest subscribe;
    subscribe.set_cursor(cursor_);
    if (co_await stream_->Write(subscribe)) stream_->WritesDone();
    pumping_ = true;
    asio::co_spawn(
        executor, [](auto s) -> Async<void> { co_await s->Pump(s->stream_); }(self), Rethrow);
    co_await ReadLoop();
    stream_->Cancel();
  }
  // The connection has ended or is ending; the others see it and end.
  Close(kCloseGoingAway, "");
  for (uint64_t version = changed_.version(); pumping_ || writing_; version = changed_.version()) {
    co_await changed_.Wait(version, async::After(absl::Seconds(1)));
  }
  if (!user_.empty()) server_.RemoveUser(user_);
}

Async<bool> WebSocketSession::Accept() {
  ws_.set_option(websocket::stream_base::decorator([](websocket::response_type& response) {
    response.set(beast::http::field::server, "slipstream");
  }));
  websocket::stream_base::timeout timeouts;
  timeouts.handshake_timeout = absl::ToChronoMilliseconds(server_.options().auth_timeout);
  timeouts.idle_timeout = websocket::stream_base::none();  // pings and idleness are ours
  timeouts.keep_alive_pings = false;
  ws_.set_option(timeouts);
  ws_.read_message_max(server_.options().max_message_bytes);
  ws_.control_callback(
      [this](websocket::frame_type, beast::string_view) { last_received_ = Now(); });
  auto [ec] = co_await ws_.async_accept(connection_->request, kAwait);
  if (ec) co_return false;
  ws_.text(true);
  co_return true;
}

Async<bool> WebSocketSession::SignIn() {
  cursor_ = QueryValue(request_.query, "cursor");
  if (!request_.authorization.empty()) {
    co_return Authenticate(
        std::string(auth::BearerToken(request_.authorization).value_or(std::string_view())));
  }
  while (auto text = co_await ReadMessage()) {
    const auto message = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
    if (!message.is_object() || Member(message, "type") != "auth") {
      Close(kCloseUnauthenticated,
            "the first message must be {\"type\":\"auth\",\"token\":\"...\"}");
      co_return false;
    }
    if (std::string cursor = Member(message, "cursor"); !cursor.empty()) cursor_ = cursor;
    co_return Authenticate(Member(message, "token"));
  }
  co_return false;
}

bool WebSocketSession::Authenticate(const std::string& token) {
  auto principal = server_.deps().authenticator.AuthenticateToken(token);
  if (!principal.ok()) {
    Close(kCloseUnauthenticated, status::Reason(principal.status()));
    return false;
  }
  if (!server_.AddUser((*principal)->user)) {
    Close(kCloseTooManyConnections, "this user has too many connections");
    return false;
  }
  user_ = (*principal)->user;
  token_ = token;
  return true;
}

Async<std::optional<std::string>> WebSocketSession::ReadMessage() {
  beast::flat_buffer buffer;
  auto [ec, n] = co_await ws_.async_read(buffer, kAwait);
  last_received_ = Now();
  if (ec) {
    // Beast has answered malformed and oversized frames with their close code already.
    open_ = false;
    if (stream_) stream_->Cancel();
    changed_.Notify();
    co_return std::nullopt;
  }
  if (!ws_.got_text()) {
    Close(kCloseUnsupportedData, "send text messages");
    co_return std::nullopt;
  }
  if (!Admit()) {
    Close(kCloseTooManyMessages, "too many messages in a minute");
    co_return std::nullopt;
  }
  co_return beast::buffers_to_string(buffer.data());
}

Async<void> WebSocketSession::ReadLoop() {
  while (auto text = co_await ReadMessage()) {
    const auto message = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
    const std::string type = message.is_object() ? Member(message, "type") : "";
    if (type == "ping") {
      Enqueue("{\"type\":\"pong\"}");
    } else {
      Close(kClosePolicy, type.empty() ? "not a JSON object with a type"
                                       : "unknown message type; known: auth (first), ping");
      co_return;
    }
  }
}

Async<void> WebSocketSession::Pump(std::shared_ptr<UpstreamStream> stream) {
  slipstream::notification::v1::Event event;
  while (co_await stream->Read(&event)) {
    std::string text;
    if (absl::Status written = WriteJson(event, &text); !written.ok()) continue;
    if (!event.cursor().empty()) cursor_ = event.cursor();
    Enqueue(std::move(text));
  }
  const absl::Status status = stream->status();
  if (status.ok()) {
    Close(kCloseGoingAway, absl::StrCat("reconnect cursor=", cursor_));
  } else {
    Close(CodeOf(status), status::Reason(status));
  }
  pumping_ = false;
  changed_.Notify();
}

void WebSocketSession::Enqueue(std::string text) {
  if (close_) return;
  queued_bytes_ += text.size();
  if (queued_bytes_ > server_.options().queue_bytes) {
    queue_.clear();
    Close(kCloseSlowReader, absl::StrCat("read faster; cursor=", cursor_));
    return;
  }
  queue_.push_back(std::move(text));
  changed_.Notify();
}

void WebSocketSession::Close(uint16_t code, std::string reason) {
  if (close_) return;
  if (reason.size() > kMaxReasonBytes) reason.resize(kMaxReasonBytes);
  close_.emplace(code, std::move(reason));
  changed_.Notify();
}

void WebSocketSession::RequestClose(uint16_t code, std::string reason) {
  asio::post(ws_.get_executor(), [self = shared_from_this(), code, reason = std::move(reason)] {
    self->Close(code, reason);
  });
}

Async<void> WebSocketSession::WriteLoop() {
  const WebSocketOptions& options = server_.options();
  const absl::Duration sign_in_by = Now() + options.auth_timeout;
  absl::Duration next_ping = Now() + options.ping_interval;
  while (open_) {
    const uint64_t version = changed_.version();
    const absl::Duration now = Now();
    if (user_.empty() && now >= sign_in_by) Close(kCloseAuthTimeout, "sign in within the time");
    if (now - last_received_ >= options.idle_timeout) Close(kCloseIdle, "nothing received");
    if (!queue_.empty()) {
      const std::string text = std::move(queue_.front());
      queue_.pop_front();
      queued_bytes_ -= text.size();
      GuardWrite();
      auto [ec, n] = co_await ws_.async_write(asio::buffer(text), kAwait);
      write_guard_.cancel();
      if (ec) break;
    } else if (close_) {
      break;
    } else if (now >= next_ping) {
      next_ping = now + options.ping_interval;
      GuardWrite();
      auto [ec] = co_await ws_.async_ping({}, kAwait);
      write_guard_.cancel();
      if (ec) break;
    } else {
      const absl::Duration due = user_.empty() ? std::min(next_ping, sign_in_by) : next_ping;
      co_await changed_.Wait(version, async::After(due - now));
    }
  }
  if (open_ && close_) {
    server_.CountClose(close_->first);
    // A peer that does not answer the close is not waited for.
    websocket::stream_base::timeout timeouts;
    timeouts.handshake_timeout = std::chrono::seconds(2);
    timeouts.idle_timeout = websocket::stream_base::none();
    timeouts.keep_alive_pings = false;
    ws_.set_option(timeouts);
    websocket::close_reason reason(static_cast<websocket::close_code>(close_->first),
                                   close_->second);
    GuardWrite();
    co_await ws_.async_close(reason, kAwait);  // an error only means that the peer went first
  }
  write_guard_.cancel();
  // Ends the reader too, should it still wait.
  open_ = false;
  CloseSocket();
  if (stream_) stream_->Cancel();
  writing_ = false;
  changed_.Notify();
}

void WebSocketSession::GuardWrite() {
  write_guard_.expires_after(absl::ToChronoNanoseconds(server_.options().write_timeout));
  write_guard_.async_wait([self = shared_from_this()](const boost::system::error_code& ec) {
    if (ec) return;
    // The close frame could not get through either, so the reason is only counted.
    self->server_.CountClose(kCloseSlowReader);
    self->CloseSocket();
  });
}

void WebSocketSession::CloseSocket() {
  beast::get_lowest_layer(ws_).cancel();
  boost::system::error_code ignored;
  beast::get_lowest_layer(ws_).socket().close(ignored);
}

void WebSocketSession::Abort() {
  asio::post(ws_.get_executor(), [self = shared_from_this()] {
    self->Close(kCloseGoingAway, "");
    self->CloseSocket();
  });
}

bool WebSocketSession::Admit() {
  const auto now = Now();
  if (now - minute_started_ >= absl::Minutes(1)) {
    minute_started_ = now;
    minute_count_ = 0;
  }
  return ++minute_count_ <= server_.options().max_incoming_per_minute_count;
}

}  // namespace slipstream::edge
