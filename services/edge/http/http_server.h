// The edge's HTTP/1.1 listener: Boost.Beast and Asio coroutines, one strand per connection.
//
// Bounds: connections at once and of one address, header bytes, time for headers, body pieces and
// writes, idle time.
//
// A connection counts against its address from accept on, whether it ever says a word or not. One
// over the limits is answered with 429, before its request is read; while there are many of those,
// it is closed at once.
//
// Thread safety: Start, StopListening and Stop from the owner; port() from any thread after Start.
#ifndef SERVICES_EDGE_HTTP_HTTP_SERVER_H_
#define SERVICES_EDGE_HTTP_HTTP_SERVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/async/async.h"
#include "libs/logging/logger.h"
#include "services/edge/http/exchange.h"
#include "services/edge/http/upgrade.h"
#include "services/edge/sign_in/connection_limits.h"

namespace slipstream::edge {

struct HttpServerOptions {
  std::string address = "127.0.0.1:8080";  // host:port; port 0 takes a free one
  int max_header_bytes = 16384;
  int max_connections_count = 10000;
  absl::Duration idle_timeout = absl::Seconds(60);
  absl::Duration read_timeout = absl::Seconds(15);
  absl::Duration write_timeout = absl::Seconds(30);
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // Answers the exchange. When it returns without an answer the connection is closed.
  virtual Async<void> Handle(Exchange& exchange) = 0;
  // Called instead for a request that asks for a WebSocket; takes the connection over.
  virtual Async<void> HandleUpgrade(UpgradeRequest request) = 0;
};

class HttpServer {
 public:
  // What is referred to outlives the server.
  struct Deps {
    HttpHandler& handler;
    ConnectionLimits& limits;
    Executor executor;
    logging::Logger logger;
  };
  HttpServer(HttpServerOptions options, Deps deps);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // UNAVAILABLE when the address can't be bound, INVALID_ARGUMENT when it can't be read.
  absl::Status Start();
  int port() const;
  int open_connections() const;
  // Connections that were not served, so far.
  struct Refused {
    uint64_t for_address_count = 0;  // of an address over its limits
    uint64_t for_edge_count = 0;     // beyond max_connections_count
  };
  Refused refused_connections() const;

  // New connections are refused; a kept-alive one closes after its current answer.
  void StopListening();
  // True when every connection has ended within `timeout`.
  bool WaitForEnd(absl::Duration timeout);
  // Closes every connection and waits for their ends.
  void Stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_HTTP_HTTP_SERVER_H_
