// The only file of this package that sees Beast.
#include "libs/admin_http/admin_server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <exception>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/admin_http/responses.h"
#include "libs/metrics/registry.h"
#include "libs/sync/mutex.h"

namespace slipstream::admin_http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// After a failed accept, such as too many open files.
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::size_t kFirstReadBytes = 1024;

absl::StatusOr<tcp::endpoint> ParseAddress(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  const auto bad = [&](std::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("admin HTTP address \"", address,
                                                   "\": ", std::string(why),
                                                   "; give host:port, for example 127.0.0.1:8401"));
  };
  if (colon == std::string::npos) return bad("the port is missing");
  std::string host = address.substr(0, colon);
  const std::string port_text = address.substr(colon + 1);
  unsigned port = 0;
  if (!absl::SimpleAtoi(port_text, &port) || port > 65535) return bad("the port is not 0-65535");
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  if (host == "localhost") host = "127.0.0.1";
  error_code error;
  const asio::ip::address ip = asio::ip::make_address(host, error);
  if (error) return bad("the host is not an IP address");
  return tcp::endpoint(ip, static_cast<unsigned short>(port));
}

http::response<http::string_body> ToHttp(Answer answer, unsigned version, bool keep_alive) {
  http::response<http::string_body> response(static_cast<http::status>(answer.status), version);
  response.set(http::field::content_type, answer.content_type);
  response.set(http::field::cache_control, "no-store");
  response.set("X-Content-Type-Options", "nosniff");
  if (answer.status == 405) response.set(http::field::allow, "GET");
  response.keep_alive(keep_alive);
  response.body() = std::move(answer.body);
  response.prepare_payload();
  return response;
}

bool IsHttpError(error_code error) {
  return error.category() == http::make_error_code(http::error::bad_method).category();
}

Answer BadRequest(error_code error) {
  if (error == http::error::header_limit) {
    return {.status = 431, .body = "{\"error\":\"the headers are too large\"}\n"};
  }
  return {.status = 400, .body = "{\"error\":\"not an HTTP/1.1 request\"}\n"};
}

}  // namespace

class AdminServer::Impl {
 public:
  Impl(Options options, Deps deps)
      : options_(std::move(options)), deps_(std::move(deps)), io_(1), acceptor_(io_) {}

  ~Impl() { Stop(); }

  absl::Status Start() {
    absl::StatusOr<tcp::endpoint> endpoint = ParseAddress(options_.address);
    if (!endpoint.ok()) return endpoint.status();
    error_code error;
    acceptor_.open(endpoint->protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(*endpoint, error);
    if (!error) acceptor_.listen(static_cast<int>(options_.max_connections_count), error);
    if (!error) port_ = acceptor_.local_endpoint(error).port();
    if (error) {
      return absl::UnavailableError(absl::StrCat("admin HTTP cannot listen on ", options_.address,
                                                 ": ", error.message(),
                                                 "; free the port or set another http_address"));
    }
    Spawn(Accept());
    thread_ = std::thread([this] { io_.run(); });
    return absl::OkStatus();
  }

  int port() const { return port_; }

  void Stop() {
    sync::MutexLock lock(stop_mutex_);
    io_.stop();
    if (thread_.joinable()) thread_.join();
    // Nothing runs any more: what is open is closed here, and by io_'s destructor.
    error_code ignored;
    acceptor_.close(ignored);
  }

 private:
  using Task = asio::awaitable<void>;

  void Spawn(Task task) {
    asio::co_spawn(io_, std::move(task), [this](std::exception_ptr error) {
      // Only memory can run out in there; the connection is gone, the server goes on.
      if (error) deps_.logger.Error("admin HTTP: a connection ended by an exception");
    });
  }

  Task Accept() {
    asio::steady_timer pause(io_);
    for (;;) {
      auto [error, socket] = co_await acceptor_.async_accept(kAwait);
      if (error == asio::error::operation_aborted) co_return;
      if (error) {
        deps_.logger.Warning("admin HTTP: accept failed", {{"error", error.message()}});
        pause.expires_after(kAcceptPause);
        co_await pause.async_wait(kAwait);
        continue;
      }
      if (connections_count_ >= options_.max_connections_count) continue;  // closes the socket
      Spawn(Serve(beast::tcp_stream(std::move(socket)), Slot(&connections_count_)));
    }
  }

  // One connection's place among max_connections_count.
  class Slot {
   public:
    explicit Slot(std::size_t* count) : count_(count) { ++*count_; }
    Slot(Slot&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot() {
      if (count_ != nullptr) --*count_;
    }

   private:
    std::size_t* count_;
  };

  Task Serve(beast::tcp_stream stream, [[maybe_unused]] Slot slot) {
    beast::flat_buffer buffer(options_.max_header_bytes + kFirstReadBytes);
    bool keep_alive = true;
    while (keep_alive) {
      if (buffer.size() == 0) {
        stream.expires_after(absl::ToChronoNanoseconds(options_.idle_timeout));
        auto [error, n] = co_await stream.async_read_some(buffer.prepare(kFirstReadBytes), kAwait);
        if (error) co_return;
        buffer.commit(n);
      }
      http::request_parser<http::empty_body> parser;
      parser.header_limit(static_cast<std::uint32_t>(options_.max_header_bytes));
      stream.expires_after(absl::ToChronoNanoseconds(options_.header_timeout));
      auto [error, n] = co_await http::async_read_header(stream, buffer, parser, kAwait);
      if (error == http::error::end_of_stream || error == beast::error::timeout) co_return;
      if (error && !IsHttpError(error)) co_return;  // the connection failed, not the request
      Answer answer;
      if (error) {
        answer = BadRequest(error);
        keep_alive = false;
      } else {
        const auto& request = parser.get();
        answer = AnswerTo(View(request.method_string()), View(request.target()), deps_.registry,
                          deps_.readiness);
        // A body is not read, so what follows it is not looked at either.
        keep_alive = request.keep_alive() && parser.is_done();
      }
      auto response = ToHttp(std::move(answer), 11, keep_alive);
      stream.expires_after(absl::ToChronoNanoseconds(options_.write_timeout));
      auto [write_error, written] = co_await http::async_write(stream, response, kAwait);
      if (write_error) co_return;
    }
    error_code ignored;
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
  }

  static std::string_view View(beast::string_view text) {
    return std::string_view(text.data(), text.size());
  }

  const Options options_;
  const Deps deps_;
  sync::Mutex stop_mutex_;
  int port_ = 0;
  std::size_t connections_count_ = 0;  // on the server's thread only
  std::thread thread_;
  // Below what the coroutines use: its destructor ends those that still wait.
  asio::io_context io_;
  tcp::acceptor acceptor_;
};

AdminServer::AdminServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AdminServer::~AdminServer() = default;

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(Options options, Deps deps) {
  auto impl = std::make_unique<Impl>(std::move(options), std::move(deps));
  const absl::Status status = impl->Start();
  if (!status.ok()) return status;
  return std::unique_ptr<AdminServer>(new AdminServer(std::move(impl)));
}

int AdminServer::port() const { return impl_->port(); }
void AdminServer::Stop() { impl_->Stop(); }

}  // namespace slipstream::admin_http
