// Beast's types behind UpgradeRequest. Included by the two files that speak Beast.
#ifndef SERVICES_EDGE_HTTP_UPGRADE_CONNECTION_H_
#define SERVICES_EDGE_HTTP_UPGRADE_CONNECTION_H_

#include <boost/asio/strand.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "services/edge/http/upgrade.h"

namespace slipstream::edge {

struct UpgradeConnection {
  explicit UpgradeConnection(boost::beast::tcp_stream s) : stream(std::move(s)) {}
  boost::beast::tcp_stream stream;
  boost::beast::flat_buffer buffer;
  boost::beast::http::request<boost::beast::http::empty_body> request;
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_HTTP_UPGRADE_CONNECTION_H_
