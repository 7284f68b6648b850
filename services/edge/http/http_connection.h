// One client connection: reads requests, hands each to the handler, keeps the connection or not.
#ifndef SERVICES_EDGE_HTTP_HTTP_CONNECTION_H_
#define SERVICES_EDGE_HTTP_HTTP_CONNECTION_H_

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <string>

#include "services/edge/http/http_server.h"

namespace slipstream::edge {

struct ConnectionDeps {
  const HttpServerOptions& options;
  HttpHandler& handler;
  const std::atomic<bool>& stopping;  // close after the current answer
};

// How the server ends a connection. Touched on the connection's strand alone.
struct ConnectionControl {
  std::function<void()> close;  // empty when there is nothing left to close
  bool idle = true;             // between two requests
};

// Runs on the socket's strand until the connection is closed. `peer`: the address it came from.
Async<void> ServeConnection(boost::asio::ip::tcp::socket socket, std::string peer,
                            ConnectionDeps deps, std::shared_ptr<ConnectionControl> control);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_HTTP_HTTP_CONNECTION_H_
