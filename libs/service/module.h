// A service as its process sees it: what main.cc lists and standalone links.
//
// Life, in order: constructed by a factory from a Context; its gRPC services are added to the
// server; the server starts; Start(); ... Drain() on SIGTERM; the server shuts down; Stop();
// destroyed. A service's module is the one place that names its concrete stores.
//
// Thread safety: all methods are called by the main thread, one after the other.
#ifndef LIBS_SERVICE_MODULE_H_
#define LIBS_SERVICE_MODULE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace grpc {
class Service;
}

namespace slipstream::service {

struct Context;

// Asked at each /readyz: not OK says why the process should get no traffic.
struct ReadinessCheck {
  std::string name;
  std::function<absl::Status()> check;  // any thread; does not block
  // It serves less, but serves: /readyz names it, and stays 200.
  bool only_degrades = false;
};

class Module {
 public:
  virtual ~Module() = default;

  // Added to the process's gRPC server; may be empty (worker, edge).
  virtual std::vector<grpc::Service*> Services() { return {}; }
  virtual std::vector<ReadinessCheck> ReadinessChecks() { return {}; }
  // The gRPC server is up: loops, streams to other services and listeners of its own begin here.
  virtual absl::Status Start() { return absl::OkStatus(); }
  // The process is ending: takes no new work, lets work in progress end or hands it back, until
  // `deadline`. Open server streams end here, or the server's shutdown cuts them off.
  virtual void Drain(absl::Time /*deadline*/) {}
  // The server is down: everything that still runs ends now.
  virtual void Stop() {}
};

using ModuleFactory = std::function<absl::StatusOr<std::unique_ptr<Module>>(Context&)>;

}  // namespace slipstream::service

#endif  // LIBS_SERVICE_MODULE_H_
