#include "services/edge/http/refuse_upgrade.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>
#include <utility>

#include "services/edge/http/upgrade_connection.h"

namespace slipstream::edge {

namespace http = boost::beast::http;

Async<void> RefuseUpgrade(UpgradeRequest request, HttpResponse response) {
  auto& stream = request.connection->stream;
  http::response<http::string_body> message{http::int_to_status(response.status), 11};
  message.set(http::field::content_type, response.content_type);
  for (const auto& [name, value] : response.headers) message.set(name, value);
  message.keep_alive(false);
  message.body() = std::move(response.body);
  message.prepare_payload();
  stream.expires_after(std::chrono::seconds(10));
  // An error means that the client is gone, which ends the connection all the same.
  co_await http::async_write(stream, message, boost::asio::as_tuple(boost::asio::use_awaitable));
  boost::system::error_code ignored;
  stream.socket().shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored);
}

}  // namespace slipstream::edge
