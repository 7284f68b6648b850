// The life of every binary of the suite: config, logging, metrics, auth, the RPC chain, the gRPC
// server, the admin HTTP server, and an end without loss on SIGTERM or SIGINT.
#ifndef LIBS_SERVICE_MAIN_H_
#define LIBS_SERVICE_MAIN_H_

#include <string>
#include <vector>

#include "libs/service/module.h"

namespace slipstream::service {

struct ProcessOptions {
  // Names the config section with this process's addresses ("cache", "standalone", ...), its log
  // lines and its service token's subject.
  std::string name;
  // Most of its work is done by gRPC's own threads: unless the config says how many, coroutines get
  // the cores that those leave, at least one. With more runnable threads than cores they displace
  // each other, and what could travel together leaves in more pieces.
  bool leaves_cores_to_grpc = false;
};

// Runs until a signal. Modules start in the given order and end in the reverse one. Returns the
// exit code: 0 after a signal, 2 when config is wrong, 1 when a part cannot start. One clear line
// on stderr says why. REQUIRES: called first in main(), before any thread is made.
int Main(int argc, char** argv, const ProcessOptions& options,
         const std::vector<ModuleFactory>& modules);

}  // namespace slipstream::service

#endif  // LIBS_SERVICE_MAIN_H_
