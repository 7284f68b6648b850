// The HTTP/1.1 server for machines that look after this process, on a port apart from the traffic:
//
//   GET /metrics   the registry, in the Prometheus text format
//   GET /healthz   200 while the process is alive: restart it when this fails
//   GET /readyz    200 when it should get traffic, else 503 with the failing checks as JSON;
//   degraded ones are named
//
// It has no authentication: its address is loopback by default, and a deployment that opens it
// further keeps it inside the cluster. It runs on one thread of its own, so that it answers while
// every other thread is busy, and everything about it is bounded: connections, header bytes, and
// the time that a client may take to send its headers or to read the answer.
//
// Thread-safe: all methods may be called from any thread but the server's own.
#ifndef SLIPSTREAM_LIBS_ADMIN_HTTP_ADMIN_SERVER_H_
#define SLIPSTREAM_LIBS_ADMIN_HTTP_ADMIN_SERVER_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/admin_http/readiness.h"
#include "libs/logging/logger.h"

namespace slipstream::metrics {
class Registry;
}

namespace slipstream::admin_http {

struct Options {
  // host:port, [IPv6]:port or localhost:port; port 0 takes a free one.
  std::string address = "127.0.0.1:0";
  // Further connections are closed at once.
  std::size_t max_connections_count = 64;
  // Request line and headers together; more gets 431.
  std::size_t max_header_bytes = 8192;
  // From the first byte of a request to the end of its headers, whatever arrives in between.
  absl::Duration header_timeout = absl::Seconds(5);
  // Between two requests on one connection, and before the first.
  absl::Duration idle_timeout = absl::Seconds(60);
  // For the client to take the whole answer.
  absl::Duration write_timeout = absl::Seconds(10);
};

class AdminServer {
 public:
  struct Deps {
    const metrics::Registry& registry;
    const Readiness& readiness;
    logging::Logger logger;
  };

  // Listening when it returns. INVALID_ARGUMENT: the address cannot be read. UNAVAILABLE: it cannot
  // be listened on, which the message explains. `deps` outlive the server.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(Options options, Deps deps);

  ~AdminServer();  // Stop()
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  // The port that is listened on: the real one when 0 was asked for.
  int port() const;
  // Closes every connection and joins the thread. May be called twice.
  void Stop();

 private:
  class Impl;
  explicit AdminServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace slipstream::admin_http

#endif  // SLIPSTREAM_LIBS_ADMIN_HTTP_ADMIN_SERVER_H_
