#include "services/edge/http/http_server.h"

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/sync/deadline.h"
#include "libs/sync/mutex.h"
#include "services/edge/http/http_connection.h"
#include "services/edge/http/refuse_connection.h"

namespace slipstream::edge {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

// Connections that are being told why they are refused. Each may take as long as Linger does, so
// that a flood's are closed without a word.
constexpr int kMaxFarewellsCount = 64;

}  // namespace

struct HttpServer::Impl : std::enable_shared_from_this<HttpServer::Impl> {
  Impl(HttpServerOptions o, Deps d)
      : options(std::move(o)),
        deps(std::move(d)),
        accept_strand(asio::make_strand(deps.executor)),
        acceptor(accept_strand) {}

  // What Stop needs of one connection.
  struct Entry {
    asio::strand<Executor> strand;
    std::shared_ptr<ConnectionControl> control;
  };

  const HttpServerOptions options;
  const Deps deps;
  asio::strand<Executor> accept_strand;
  tcp::acceptor acceptor;
  std::atomic<bool> stopping{false};

  mutable sync::Mutex mutex;
  sync::CondVar changed;
  bool accepting ABSL_GUARDED_BY(mutex) = false;
  uint64_t next_id ABSL_GUARDED_BY(mutex) = 0;
  std::map<uint64_t, Entry> connections ABSL_GUARDED_BY(mutex);
  int farewells_count ABSL_GUARDED_BY(mutex) = 0;  // of connections
  Refused refused ABSL_GUARDED_BY(mutex);

  Async<void> Accept();
  void Serve(tcp::socket socket, std::string peer, asio::strand<Executor> strand);
  void Refuse(tcp::socket socket, asio::strand<Executor> strand, absl::Status why);
  void Ended(uint64_t id);
  void CloseAll(bool idle_only);
  // True when no connection is left.
  bool WaitEmpty(absl::Duration timeout);
};

Async<void> HttpServer::Impl::Accept() {
  while (!stopping) {
    auto strand = asio::make_strand(deps.executor);
    tcp::endpoint peer;
    auto [ec, socket] =
        co_await acceptor.async_accept(strand, peer, asio::as_tuple(asio::use_awaitable));
    if (ec == asio::error::operation_aborted) break;
    if (ec) {
      // Out of file descriptors, most likely: a short pause lets connections end.
      deps.logger.Warning("accept failed", {{"error", ec.message()}});
      asio::steady_timer pause(accept_strand, std::chrono::milliseconds(50));
      co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
      continue;
    }
    Serve(std::move(socket), peer.address().to_string(), std::move(strand));
  }
}

void HttpServer::Impl::Serve(tcp::socket socket, std::string peer, asio::strand<Executor> strand) {
  auto place = deps.limits.Arrive(peer);
  if (!place.ok()) {
    Refuse(std::move(socket), std::move(strand), place.status());
    return;
  }
  auto control = std::make_shared<ConnectionControl>();
  uint64_t id;
  {
    sync::MutexLock lock(mutex);
    // Beyond the bound the connection is closed at once: its socket ends with this call.
    if (connections.size() >= static_cast<size_t>(options.max_connections_count)) {
      ++refused.for_edge_count;
      return;
    }
    id = next_id++;
    connections.emplace(id, Entry{strand, control});
  }
  auto ended = [self = shared_from_this(), id,
                place = *std::move(place)](std::exception_ptr error) mutable {
    if (error) std::rethrow_exception(error);
    place.Leave();
    self->Ended(id);
  };
  // A WebSocket goes on by itself: it may last for days, and what HTTP took is then given back.
  asio::co_spawn(strand,
                 ServeConnection(std::move(socket), std::move(peer),
                                 {options, deps.handler, stopping}, control),
                 [this, strand, ended = std::move(ended)](
                     std::exception_ptr error, std::unique_ptr<UpgradeRequest> upgrade) mutable {
                   if (error || upgrade == nullptr) {
                     ended(error);
                     return;
                   }
                   asio::co_spawn(strand, deps.handler.HandleUpgrade(std::move(*upgrade)),
                                  std::move(ended));
                 });
}

void HttpServer::Impl::Refuse(tcp::socket socket, asio::strand<Executor> strand, absl::Status why) {
  auto control = std::make_shared<ConnectionControl>();
  uint64_t id;
  {
    sync::MutexLock lock(mutex);
    ++refused.for_address_count;
    if (absl::IsAborted(why) || farewells_count >= kMaxFarewellsCount) return;
    ++farewells_count;
    id = next_id++;
    connections.emplace(id, Entry{strand, control});
  }
  const auto tell = [](tcp::socket to, absl::Status reason, absl::Duration write_timeout,
                       std::shared_ptr<ConnectionControl> ctl) -> Async<void> {
    boost::beast::tcp_stream stream(std::move(to));
    ctl->close = [&stream] { stream.cancel(); };
    co_await RefuseConnection(stream, std::move(reason), absl::ToChronoNanoseconds(write_timeout));
    ctl->close = nullptr;
  };
  asio::co_spawn(strand, tell(std::move(socket), std::move(why), options.write_timeout, control),
                 [self = shared_from_this(), id](std::exception_ptr error) {
                   if (error) std::rethrow_exception(error);
                   {
                     sync::MutexLock lock(self->mutex);
                     --self->farewells_count;
                   }
                   self->Ended(id);
                 });
}

void HttpServer::Impl::Ended(uint64_t id) {
  sync::MutexLock lock(mutex);
  connections.erase(id);
  changed.SignalAll();
}

void HttpServer::Impl::CloseAll(bool idle_only) {
  sync::MutexLock lock(mutex);
  for (auto& [id, entry] : connections) {
    asio::post(entry.strand, [control = entry.control, idle_only] {
      if (control->close && (control->idle || !idle_only)) control->close();
    });
  }
}

bool HttpServer::Impl::WaitEmpty(absl::Duration timeout) {
  const sync::Deadline deadline(timeout);
  sync::MutexLock lock(mutex);
  while (!connections.empty() || accepting) {
    if (deadline.Passed()) return false;
    (void)changed.WaitFor(mutex, deadline.Left());
  }
  return true;
}

HttpServer::HttpServer(HttpServerOptions options, Deps deps)
    : impl_(std::make_shared<Impl>(std::move(options), std::move(deps))) {}

HttpServer::~HttpServer() { Stop(); }

absl::Status HttpServer::Start() {
  const std::string& address = impl_->options.address;
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) ||
      port < 0 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("edge.http_address ", address, " is not host:port"));
  }
  std::string host = address.substr(0, colon);
  if (host == "localhost") host = "127.0.0.1";
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  boost::system::error_code ec;
  const auto ip = asio::ip::make_address(host, ec);
  if (ec) {
    return absl::InvalidArgumentError(
        absl::StrCat("edge.http_address ", address, ": the host must be an IP address"));
  }
  const tcp::endpoint endpoint(ip, static_cast<uint16_t>(port));
  auto& acceptor = impl_->acceptor;
  acceptor.open(endpoint.protocol(), ec);
  if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) acceptor.bind(endpoint, ec);
  if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", address, ": ", ec.message(),
                                               "; choose another edge.http_address"));
  }
  {
    sync::MutexLock lock(impl_->mutex);
    impl_->accepting = true;
  }
  asio::co_spawn(impl_->accept_strand, impl_->Accept(), [impl = impl_](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
    sync::MutexLock lock(impl->mutex);
    impl->accepting = false;
    impl->changed.SignalAll();
  });
  return absl::OkStatus();
}

int HttpServer::port() const {
  boost::system::error_code ec;
  const auto endpoint = impl_->acceptor.local_endpoint(ec);
  return ec ? 0 : endpoint.port();
}

int HttpServer::open_connections() const {
  sync::MutexLock lock(impl_->mutex);
  return static_cast<int>(impl_->connections.size());
}

HttpServer::Refused HttpServer::refused_connections() const {
  sync::MutexLock lock(impl_->mutex);
  return impl_->refused;
}

void HttpServer::StopListening() {
  if (impl_->stopping.exchange(true)) return;
  asio::post(impl_->accept_strand, [impl = impl_] {
    boost::system::error_code ignored;
    impl->acceptor.close(ignored);
  });
  impl_->CloseAll(/*idle_only=*/true);
}

bool HttpServer::WaitForEnd(absl::Duration timeout) { return impl_->WaitEmpty(timeout); }

void HttpServer::Stop() {
  StopListening();
  // A closed connection ends within a few steps of its coroutine; the wait is for a handler that
  // still waits for its upstream's deadline.
  do {
    impl_->CloseAll(/*idle_only=*/false);
  } while (!impl_->WaitEmpty(absl::Seconds(1)));
}

}  // namespace slipstream::edge
