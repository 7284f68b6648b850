#include "services/edge/http/linger.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <string>

namespace slipstream::edge {

namespace asio = boost::asio;

namespace {

constexpr size_t kSinkBytes = 16 << 10;
constexpr size_t kMaxBytes = 64 << 20;
constexpr auto kMaxTime = std::chrono::seconds(5);

}  // namespace

Async<void> Linger(boost::beast::tcp_stream& stream) {
  boost::system::error_code ignored;
  stream.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  std::string sink(kSinkBytes, '\0');
  stream.expires_after(kMaxTime);
  for (size_t total = 0; total < kMaxBytes;) {
    auto [ec, n] =
        co_await stream.async_read_some(asio::buffer(sink), asio::as_tuple(asio::use_awaitable));
    if (ec) break;
    total += n;
  }
  stream.expires_never();
}

}  // namespace slipstream::edge
