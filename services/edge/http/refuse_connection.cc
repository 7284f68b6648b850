#include "services/edge/http/refuse_connection.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "services/edge/http/linger.h"
#include "services/edge/transcoder/problem.h"

namespace slipstream::edge {

namespace http = boost::beast::http;

Async<void> RefuseConnection(boost::beast::tcp_stream& stream, absl::Status why,
                             std::chrono::nanoseconds write_timeout) {
  const Problem problem = MakeProblem(why, "");
  http::response<http::string_body> message{http::int_to_status(problem.http_status), 11};
  message.set(http::field::content_type, std::string(kProblemContentType));
  if (problem.retry_after_s) {
    message.set(http::field::retry_after, absl::StrCat(*problem.retry_after_s));
  }
  message.keep_alive(false);
  message.body() = problem.body;
  message.prepare_payload();
  stream.expires_after(write_timeout);
  auto [ec, n] = co_await http::async_write(stream, message,
                                            boost::asio::as_tuple(boost::asio::use_awaitable));
  if (!ec) co_await Linger(stream);
}

}  // namespace slipstream::edge
