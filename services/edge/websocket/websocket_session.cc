#include "services/edge/websocket/websocket_session.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/async/deadline.h"
#include "nlohmann/json.hpp"
#include "services/edge/websocket/close_codes.h"
#include "services/edge/websocket/frame.h"
#include "services/edge/websocket/session_message.h"

namespace slipstream::edge {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;

namespace {

using boost::system::error_code;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr int64_t kNeverDue_ns = std::numeric_limits<int64_t>::max();

// Of a message from a client: what waits to be read into, and what its rest is read into.
constexpr size_t kFirstPieceBytes = 64;
constexpr size_t kPieceBytes = 4096;

void Rethrow(std::exception_ptr error) {
  if (error) std::rethrow_exception(error);
}

const EncodedEventPtr& Pong() {
  static const EncodedEventPtr pong = EncodeText("{\"type\":\"pong\"}");
  return pong;
}

// Small windows and hash tables: what a compressed connection costs is memory.
websocket::permessage_deflate DeflateOptions() {
  websocket::permessage_deflate options;
  options.server_enable = true;
  options.server_max_window_bits = 12;
  options.client_max_window_bits = 15;  // clients need not be able to do with less
  options.memLevel = 4;
  return options;
}

}  // namespace

WebSocketSession::WebSocketSession(WebSocketServer& server, UpgradeRequest request,
                                   ConnectionLimits::Place place)
    : server_(server),
      ws_(std::move(request.connection->stream), *this),
      request_(std::make_unique<UpgradeRequest>(std::move(request))),
      place_(std::move(place)),
      outbox_(server.options().queue_bytes),
      due_at_ns_(kNeverDue_ns) {}

WebSocketSession::~WebSocketSession() { GiveDeflateBack(); }

Async<void> WebSocketSession::Run() {
  accepted_at_ = last_received_ = minute_started_ = Now();
  next_ping_ = accepted_at_ + server_.options().ping_interval;
  if (!co_await Accept()) {
    CloseSocket();
    co_return;
  }
  open_ = true;
  if (deflate_) {
    ++working_count_;
    asio::co_spawn(
        ws_.get_executor(),
        [](auto s) -> Async<void> { co_await s->WriteCompressed(); }(shared_from_this()), Rethrow);
  }
  DueAt(std::min(next_ping_, accepted_at_ + server_.options().auth_timeout));
  std::optional<SubscriptionRequest> subscription;
  if (close_) {
    Flush();
  } else {
    subscription = co_await SignIn();
  }
  if (subscription) {
    subscription->client_address = std::move(request_->peer_address);
    request_.reset();
    subscription_ = server_.deps().hub.Subscribe(*std::move(subscription), shared_from_this());
    subscription.reset();
    co_await ReadLoop();
    server_.deps().hub.Unsubscribe(subscription_);
  }
  // The connection has ended or is ending; the others see it and end.
  if (open_) Close(kCloseGoingAway, "");
  for (uint64_t version = changed_.version(); open_ || working_count_ > 0;
       version = changed_.version()) {
    co_await changed_.Wait(version, async::After(absl::Seconds(1)));
  }
}

Async<bool> WebSocketSession::Accept() {
  const std::shared_ptr<UpgradeConnection> connection = std::move(request_->connection);
  error_code ignored;
  beast::get_lowest_layer(ws_).socket().non_blocking(true, ignored);
  const bool may_deflate =
      server_.options().max_deflate_connections_count > 0 &&
      connection->request.count(beast::http::field::sec_websocket_extensions) > 0 &&
      server_.TakeDeflate();
  deflate_ = deflate_held_ = may_deflate;
  if (may_deflate) ws_.set_option(DeflateOptions());
  bool negotiated = false;
  ws_.set_option(
      websocket::stream_base::decorator([&negotiated](websocket::response_type& response) {
        response.set(beast::http::field::server, "slipstream");
        negotiated = response.count(beast::http::field::sec_websocket_extensions) > 0;
      }));
  websocket::stream_base::timeout timeouts;
  timeouts.handshake_timeout = absl::ToChronoMilliseconds(server_.options().auth_timeout);
  timeouts.idle_timeout = websocket::stream_base::none();  // pings and idleness are ours
  timeouts.keep_alive_pings = false;
  ws_.set_option(timeouts);
  ws_.read_message_max(server_.options().max_message_bytes);
  ws_.control_callback(
      [this](websocket::frame_type, beast::string_view) { last_received_ = Now(); });
  auto [ec] = co_await ws_.async_accept(connection->request, kAwait);
  ws_.set_option(websocket::stream_base::decorator([](websocket::response_type&) {}));
  if (ec) co_return false;
  if (!negotiated) {
    deflate_ = false;
    GiveDeflateBack();
  }
  ws_.text(true);
  co_return true;
}

void WebSocketSession::GiveDeflateBack() {
  if (std::exchange(deflate_held_, false)) server_.GiveDeflateBack();
}

Async<std::optional<std::string>> WebSocketSession::ReadMessage() {
  // Read into as little as possible until there is something: with a dynamic buffer, Beast would
  // keep a frame's worth of it for each connection that waits.
  char first[kFirstPieceBytes];
  std::string text, more;
  asio::mutable_buffer into = asio::buffer(first);
  for (;;) {
    auto [ec, n] = co_await ws_.async_read_some(into, kAwait);
    last_received_ = Now();
    if (ec) {
      // Beast has answered malformed and oversized frames with their close code already.
      open_ = false;  // no close frame of ours any more
      Written(ec);
      CloseSocket();
      co_return std::nullopt;
    }
    text.append(static_cast<const char*>(into.data()), n);
    if (ws_.is_message_done()) break;
    if (more.empty()) more.resize(kPieceBytes);
    into = asio::buffer(more);
  }
  if (!ws_.got_text()) {
    Close(kCloseUnsupportedData, "send text messages");
    co_return std::nullopt;
  }
  if (!Admit()) {
    Close(kCloseTooManyMessages, "too many messages in a minute");
    co_return std::nullopt;
  }
  co_return text;
}

Async<void> WebSocketSession::ReadLoop() {
  while (auto text = co_await ReadMessage()) {
    if (!Obey(*text)) co_return;
  }
}

bool WebSocketSession::Obey(const std::string& text) {
  const auto message = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const std::string type = message.is_object() ? Member(message, "type") : "";
  if (type == "ping") {
    Send(Pong());
  } else if (type == "refresh") {
    Refresh(message);
  } else {
    Close(kClosePolicy, type.empty() ? "not a JSON object with a type"
                                     : "unknown message type; known: auth (first), ping, refresh");
  }
  return !close_;
}

bool WebSocketSession::Admit() {
  const auto now = Now();
  if (now - minute_started_ >= absl::Minutes(1)) {
    minute_started_ = now;
    minute_count_ = 0;
  }
  return ++minute_count_ <= server_.options().max_incoming_per_minute_count;
}

// --- events

bool WebSocketSession::OnEvents(absl::Span<const EncodedEventPtr> events) {
  const Outbox::Pushed pushed = outbox_.Push(events);
  if (pushed == Outbox::Pushed::kOver) {
    Post([](WebSocketSession& self) {
      self.Close(kCloseSlowReader,
                 absl::StrCat("read faster; cursor=", self.outbox_.cursor().ToString()));
    });
  }
  return pushed == Outbox::Pushed::kWake;
}

void WebSocketSession::Wake() {
  Post([](WebSocketSession& self) { self.Flush(); });
}

void WebSocketSession::OnEnd(const SubscriptionEnd& end) {
  Post([end](WebSocketSession& self) {
    const uint16_t code = CloseCodeOf(end.reason);
    if (code == kCloseUnauthenticated || code == kCloseForbidden || code == kClosePolicy ||
        code == kCloseTooManyConnections) {
      self.Close(code, end.reason);
      return;
    }
    // What has arrived is written first unless the client does not read.
    if (code == kCloseSlowReader) self.outbox_.Drop();
    self.Close(code, absl::StrCat(end.reason, " cursor=", self.outbox_.cursor().ToString()));
  });
}

void WebSocketSession::Send(EncodedEventPtr event) {
  if (OnEvents({std::move(event)})) Wake();
}

void WebSocketSession::TakeCredit(int events_count) {
  uncredited_count_ += events_count;
  while (uncredited_count_ >= NotificationHub::kCreditQuantum) {
    uncredited_count_ -= NotificationHub::kCreditQuantum;
    server_.deps().hub.AddCredit(subscription_);
  }
}

// --- time

void WebSocketSession::DueAt(absl::Duration when) {
  const int64_t ns = absl::ToInt64Nanoseconds(when);
  if (ns < due_at_ns_.load(std::memory_order_relaxed)) due_at_ns_ = ns;
}

void WebSocketSession::TickIfDue(absl::Duration now) {
  if (absl::ToInt64Nanoseconds(now) < due_at_ns_.load(std::memory_order_relaxed)) return;
  due_at_ns_ = kNeverDue_ns;
  Post([](WebSocketSession& self) { self.Tick(); });
}

void WebSocketSession::Tick() {
  if (!open_) return;
  const WebSocketOptions& options = server_.options();
  const absl::Duration now = Now();
  if (now - stalled_since_ >= options.write_timeout) {
    // The close frame could not get through either, so the reason is only counted.
    server_.CountClose(kCloseSlowReader);
    open_ = false;
    Close(kCloseSlowReader, "");
    Written(asio::error::timed_out);
    CloseSocket();
    return;
  }
  if (user_.empty() && now - accepted_at_ >= options.auth_timeout) {
    Close(kCloseAuthTimeout, "sign in within the time");
  }
  if (now - last_received_ >= options.idle_timeout) Close(kCloseIdle, "nothing received");
  const absl::Duration lifetime = ExpiresAt() - server_.deps().clock.Now();
  if (lifetime <= absl::ZeroDuration()) {
    Close(kCloseTokenExpired, absl::StrCat("TOKEN_EXPIRED cursor=", outbox_.cursor().ToString()));
  } else if (!notice_given_ && lifetime - options.token_leeway <= options.refresh_notice) {
    notice_given_ = true;
    Send(EncodeText(absl::StrCat("{\"type\":\"token_expiring\",\"expires_at\":\"",
                                 TimeText(expires_at_), "\"}")));
  }
  if (!close_ && now >= next_ping_) {
    next_ping_ = now + options.ping_interval;
    // Behind bytes that the client does not read a ping would only wait, too.
    if (unsent_.empty() && !close_sent_) {
      AppendFrameHead(kFramePing, 0, &control_);
      Flush();
    }
  }
  absl::Duration due = next_ping_;
  if (user_.empty()) {
    due = std::min(due, accepted_at_ + options.auth_timeout);
  } else {
    due = std::min(due, now + lifetime);
    if (!notice_given_) {
      due = std::min(due, now + lifetime - options.token_leeway - options.refresh_notice);
    }
  }
  due = std::min(due, last_received_ + options.idle_timeout);
  if (stalled_since_ != absl::InfiniteDuration()) {
    due = std::min(due, stalled_since_ + options.write_timeout);
  }
  DueAt(due);
}

}  // namespace slipstream::edge
