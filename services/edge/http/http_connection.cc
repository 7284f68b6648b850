#include "services/edge/http/http_connection.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/async/deadline.h"
#include "libs/status/status.h"
#include "services/edge/http/linger.h"
#include "services/edge/http/refuse_connection.h"
#include "services/edge/http/upgrade_connection.h"
#include "services/edge/transcoder/problem.h"

namespace slipstream::edge {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

using boost::system::error_code;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// Pieces of a body on their way to a handler.
constexpr size_t kPieceBytes = 64 * 1024;

// What the kernel takes for a peer before it has sent what it took earlier. By itself it would take
// 4 MB, and a client that does not read would be found out that much later; what is on its way is
// not bounded by this, so it costs no speed.
constexpr int kMaxUnsentBytes = 128 * 1024;

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

std::chrono::nanoseconds Nanos(absl::Duration d) { return absl::ToChronoNanoseconds(d); }

class BeastExchange final : public Exchange {
 public:
  BeastExchange(beast::tcp_stream& stream, beast::flat_buffer& buffer,
                http::request_parser<http::buffer_body>& parser, const HttpServerOptions& options,
                std::string peer)
      : stream_(stream),
        buffer_(buffer),
        parser_(parser),
        options_(options),
        peer_(std::move(peer)) {
    const std::string_view target = View(parser.get().target());
    const size_t mark = target.find('?');
    path_ = std::string(target.substr(0, mark));
    if (mark != std::string_view::npos) query_ = std::string(target.substr(mark + 1));
    method_ = std::string(View(parser.get().method_string()));
  }
  ~BeastExchange() override { *alive_ = false; }

  std::string_view method() const override { return method_; }
  std::string_view path() const override { return path_; }
  std::string_view query() const override { return query_; }
  std::optional<std::string_view> header(std::string_view name) const override {
    const auto it = parser_.get().find(beast::string_view(name.data(), name.size()));
    if (it == parser_.get().end()) return std::nullopt;
    return View(it->value());
  }
  const std::string& peer_address() const override { return peer_; }

  Async<absl::StatusOr<std::string>> ReadBody(size_t limit_bytes) override {
    // One time limit for the whole: byte by byte it would hold the connection for days.
    body_deadline_ = async::After(options_.read_timeout);
    std::string body;
    for (;;) {
      auto piece = co_await ReadBodyPiece(limit_bytes);
      if (!piece.ok()) co_return piece.status();
      if (piece->empty()) co_return body;
      if (body.empty()) {
        body = *std::move(piece);
      } else {
        body += *piece;
      }
    }
  }

  Async<absl::StatusOr<std::string>> ReadBodyPiece(size_t limit_bytes) override {
    if (parser_.is_done()) co_return std::string();
    const auto length = parser_.content_length();
    if (length && *length > limit_bytes) co_return BodyTooLarge(limit_bytes);
    if (!continued_ && absl::EqualsIgnoreCase(Text("Expect"), "100-continue")) {
      static constexpr char kContinue[] = "HTTP/1.1 100 Continue\r\n\r\n";
      stream_.expires_after(Nanos(options_.write_timeout));
      auto [ec, n] = co_await asio::async_write(
          stream_, asio::buffer(kContinue, sizeof(kContinue) - 1), kAwait);
      if (ec) co_return Gone();
    }
    continued_ = true;
    std::string piece(std::min<size_t>(kPieceBytes, length.value_or(kPieceBytes)), '\0');
    size_t filled = 0;
    while (filled == 0 && !parser_.is_done()) {
      parser_.get().body().data = piece.data();
      parser_.get().body().size = piece.size();
      parser_.get().body().more = true;
      stream_.expires_at(std::min(body_deadline_, async::After(options_.read_timeout)));
      auto [ec, n] = co_await http::async_read_some(stream_, buffer_, parser_, kAwait);
      filled = piece.size() - parser_.get().body().size;
      if (ec && ec != http::error::need_buffer) co_return Gone();
    }
    piece.resize(filled);
    read_bytes_ += filled;
    if (read_bytes_ > limit_bytes) co_return BodyTooLarge(limit_bytes);
    co_return piece;
  }

  Async<bool> Respond(HttpResponse response) override {
    http::response<http::string_body> message{http::int_to_status(response.status), version()};
    Fill(response, message);
    // 304, and the answer to HEAD, describe a body without having one.
    const bool bodiless = response.status == 204 || response.status == 304 || method_ == "HEAD";
    if (bodiless) {
      if (response.status != 204) message.content_length(response.body.size());
    } else {
      message.body() = std::move(response.body);
      message.prepare_payload();
    }
    stream_.expires_after(Nanos(options_.write_timeout));
    http::response_serializer<http::string_body> serializer(message);
    error_code ec;
    if (bodiless) {
      std::tie(ec, std::ignore) = co_await http::async_write_header(stream_, serializer, kAwait);
    } else {
      std::tie(ec, std::ignore) = co_await http::async_write(stream_, serializer, kAwait);
    }
    if (ec) failed_ = true;
    co_return !ec;
  }

  Async<bool> StartStream(HttpResponse response) override {
    http::response<http::empty_body> message{http::int_to_status(response.status), version()};
    Fill(response, message);
    const bool has_length = message.count(http::field::content_length) > 0;
    chunked_ = version() >= 11 && !has_length;
    if (chunked_) message.chunked(true);
    // An HTTP/1.0 client knows the end by the close.
    if (!chunked_ && !has_length) keep_alive_ = false;
    message.keep_alive(keep_alive_);
    stream_.expires_after(Nanos(options_.write_timeout));
    http::response_serializer<http::empty_body> serializer(message);
    auto [ec, n] = co_await http::async_write_header(stream_, serializer, kAwait);
    if (ec) {
      failed_ = true;
      co_return false;
    }
    // Headers are the whole answer to HEAD; the caller sees it as a client that wants no more.
    if (method_ == "HEAD") {
      ended_ = true;
      co_return false;
    }
    // From here on nothing is expected from the client but its going.
    stream_.expires_never();
    Watch();
    co_return true;
  }

  Async<bool> WriteChunk(std::string bytes) override {
    if (bytes.empty()) co_return !failed_;
    if (failed_) co_return false;
    if (chunked_) {
      bytes = absl::StrCat(absl::Hex(bytes.size()), "\r\n", bytes, "\r\n");
    }
    co_return co_await WriteRaw(std::move(bytes));
  }

  Async<bool> EndStream() override {
    ended_ = true;
    if (failed_) co_return false;
    if (!chunked_) co_return true;
    co_return co_await WriteRaw("0\r\n\r\n");
  }

  void SetHeader(std::string name, std::string value) override {
    extra_.emplace_back(std::move(name), std::move(value));
  }
  void OnDisconnect(std::function<void()> callback) override {
    if (disconnected_) {
      callback();
    } else {
      on_disconnect_ = std::move(callback);
    }
  }
  bool answered() const override { return status_ != 0; }
  int answered_status() const override { return status_; }

  void CloseAfterAnswer() { keep_alive_ = false; }
  // Whether the next request may follow on this connection.
  bool KeepAlive() const {
    return keep_alive_ && !failed_ && answered() && parser_.is_done() && (!watching_ || ended_);
  }
  bool failed() const { return failed_; }

 private:
  static absl::Status Gone() {
    return status::Error(absl::StatusCode::kCancelled, "CLIENT_GONE",
                         "the client closed its connection or sent its body too slowly");
  }
  unsigned version() const { return parser_.get().version(); }
  std::string Text(const char* name) const { return std::string(header(name).value_or("")); }

  template <class Message>
  void Fill(const HttpResponse& response, Message& message) {
    status_ = response.status;
    if (!parser_.get().keep_alive()) keep_alive_ = false;
    // An unread body would be taken for the next request.
    if (!parser_.is_done()) keep_alive_ = false;
    message.keep_alive(keep_alive_);
    if (!response.content_type.empty()) {
      message.set(http::field::content_type, response.content_type);
    }
    for (const auto& [name, value] : extra_) message.set(name, value);
    for (const auto& [name, value] : response.headers) message.set(name, value);
  }

  Async<bool> WriteRaw(std::string bytes) {
    stream_.expires_after(Nanos(options_.write_timeout));
    auto [ec, n] = co_await asio::async_write(stream_, asio::buffer(bytes), kAwait);
    stream_.expires_never();
    if (ec) failed_ = true;
    co_return !ec;
  }

  // Sees the end of the connection while a stream is being written. A client that sends its next
  // request early (pipelining) is not gone: then watching ends.
  void Watch() {
    watching_ = true;
    stream_.socket().async_wait(
        asio::ip::tcp::socket::wait_read, [this, alive = alive_](const error_code& ec) {
          if (!*alive) return;
          if (ec) {  // the server closes the connection, or a write timed out
            Disconnected();
            return;
          }
          char byte;
          error_code peek_error;
          const size_t n = stream_.socket().receive(asio::buffer(&byte, 1),
                                                    asio::socket_base::message_peek, peek_error);
          if (n == 0 || (peek_error && peek_error != asio::error::would_block)) {
            Disconnected();
          }
        });
  }
  void Disconnected() {
    failed_ = true;
    disconnected_ = true;
    if (auto callback = std::exchange(on_disconnect_, nullptr)) callback();
  }

  beast::tcp_stream& stream_;
  beast::flat_buffer& buffer_;
  http::request_parser<http::buffer_body>& parser_;
  const HttpServerOptions& options_;
  const std::string peer_;
  std::string method_, path_, query_;
  std::vector<std::pair<std::string, std::string>> extra_;
  std::function<void()> on_disconnect_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  size_t read_bytes_ = 0;
  // Only ReadBody sets it; a long upload read piece by piece has a limit for each piece.
  std::chrono::steady_clock::time_point body_deadline_ =
      std::chrono::steady_clock::time_point::max();
  int status_ = 0;
  bool continued_ = false, keep_alive_ = true, chunked_ = false, failed_ = false;
  bool watching_ = false, ended_ = false, disconnected_ = false;
};

// RFC 9112 section 6.3: a body whose end only `chunked` could tell, and does not, is an attempt to
// make two readers of the connection see different requests.
bool HasUnclearLength(const http::request_parser<http::buffer_body>& parser) {
  const auto& head = parser.get();
  if (head.count(http::field::transfer_encoding) == 0) return false;
  return !parser.chunked() || head.version() < 11 || head.count(http::field::content_length) > 0;
}

// The request itself is at fault: not the network, nor a client that left in the middle.
bool IsMalformed(const error_code& ec) {
  return ec.category() == make_error_code(http::error::bad_method).category() &&
         ec != http::error::end_of_stream && ec != http::error::partial_message;
}

bool WantsWebSocket(const http::request_parser<http::buffer_body>& parser) {
  return beast::websocket::is_upgrade(parser.get());
}

UpgradeRequest MakeUpgrade(beast::tcp_stream stream, beast::flat_buffer buffer,
                           const http::request_parser<http::buffer_body>& parser,
                           std::string peer) {
  UpgradeRequest out;
  out.connection = std::make_shared<UpgradeConnection>(std::move(stream));
  out.connection->buffer = std::move(buffer);
  static_cast<http::request<http::empty_body>::header_type&>(out.connection->request) =
      parser.get().base();
  const std::string_view target = View(parser.get().target());
  const size_t mark = target.find('?');
  out.path = std::string(target.substr(0, mark));
  if (mark != std::string_view::npos) out.query = std::string(target.substr(mark + 1));
  out.authorization = std::string(View(parser.get()[http::field::authorization]));
  out.websocket_key = std::string(View(parser.get()[http::field::sec_websocket_key]));
  out.origin = std::string(View(parser.get()[http::field::origin]));
  out.host = std::string(View(parser.get()[http::field::host]));
  out.forwarded_for = std::string(View(parser.get()["x-forwarded-for"]));
  out.peer_address = std::move(peer);
  return out;
}

// What is wrong with a request that could not even be read.
absl::Status Unreadable(const error_code& ec, const HttpServerOptions& options) {
  const bool too_long = ec == http::error::header_limit;
  return status::Error(
      absl::StatusCode::kInvalidArgument,
      too_long ? absl::string_view(kReasonHeadersTooLarge.data(), kReasonHeadersTooLarge.size())
               : absl::string_view("MALFORMED_REQUEST"),
      too_long ? absl::StrCat("request line and headers take more than ", options.max_header_bytes,
                              " bytes")
               : absl::StrCat("not an HTTP/1.1 request: ", ec.message()));
}

}  // namespace

Async<void> ServeConnection(asio::ip::tcp::socket socket, std::string peer, ConnectionDeps deps,
                            std::shared_ptr<ConnectionControl> control) {
  error_code ec;
  socket.set_option(asio::ip::tcp::no_delay(true), ec);
  // Refused, it only costs memory.
  (void)setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kMaxUnsentBytes,
                   sizeof(kMaxUnsentBytes));
  beast::tcp_stream stream(std::move(socket));
  control->close = [&stream] { stream.cancel(); };
  beast::flat_buffer buffer;
  buffer.max_size(deps.options.max_header_bytes + kPieceBytes);
  bool first = true;
  for (;;) {
    // On the heap, so that a connection that becomes a WebSocket does not keep it.
    auto parser_memory = std::make_unique<http::request_parser<http::buffer_body>>();
    auto& parser = *parser_memory;
    parser.header_limit(deps.options.max_header_bytes);
    parser.body_limit(boost::none);  // each handler has its own limit
    // Idle until the first byte, then the whole header within the read timeout.
    if (buffer.size() == 0) {
      control->idle = true;
      if (deps.stopping) break;
      stream.expires_after(Nanos(first ? deps.options.read_timeout : deps.options.idle_timeout));
      auto [wait_error, n] = co_await stream.async_read_some(buffer.prepare(4096), kAwait);
      if (wait_error) break;
      buffer.commit(n);
    }
    first = false;
    control->idle = false;
    stream.expires_after(Nanos(deps.options.read_timeout));
    auto [read_error, bytes] = co_await http::async_read_header(stream, buffer, parser, kAwait);
    if (read_error) {
      if (IsMalformed(read_error)) {
        co_await RefuseConnection(stream, Unreadable(read_error, deps.options),
                                  Nanos(deps.options.write_timeout));
      }
      break;
    }
    if (HasUnclearLength(parser)) {
      co_await RefuseConnection(stream,
                                Unreadable(http::error::bad_transfer_encoding, deps.options),
                                Nanos(deps.options.write_timeout));
      break;
    }
    if (WantsWebSocket(parser)) {
      control->close = nullptr;
      stream.expires_never();
      UpgradeRequest upgrade = MakeUpgrade(std::move(stream), std::move(buffer), parser, peer);
      parser_memory.reset();
      co_await deps.handler.HandleUpgrade(std::move(upgrade));
      co_return;
    }
    BeastExchange exchange(stream, buffer, parser, deps.options, peer);
    if (deps.stopping) exchange.CloseAfterAnswer();
    co_await deps.handler.Handle(exchange);
    if (exchange.KeepAlive() && !deps.stopping) continue;
    if (!exchange.failed() && exchange.answered()) co_await Linger(stream);
    break;
  }
  control->close = nullptr;
  stream.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ec);
}

}  // namespace slipstream::edge
