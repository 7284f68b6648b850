// Everything a process has, in the order in which it is made; Main drives it.
#ifndef LIBS_SERVICE_PROCESS_H_
#define LIBS_SERVICE_PROCESS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/service/main.h"

namespace slipstream::config::v1 {
class Config;
}

namespace slipstream::service {

class Process {
 public:
  // `config` outlives the process.
  Process(const config::v1::Config& config, const ProcessOptions& options);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Makes the modules, opens the ports and marks the process ready.
  absl::Status Start(const std::vector<ModuleFactory>& modules);
  // Not ready, drains the modules, ends the server, stops everything. Blocks for at most about
  // rpc.drain_grace_ms.
  void Shutdown();

  int grpc_port() const;
  int http_port() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace slipstream::service

#endif  // LIBS_SERVICE_PROCESS_H_
