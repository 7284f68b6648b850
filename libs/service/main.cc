#include "libs/service/main.h"

#include <pthread.h>
#include <signal.h>

#include <cstdio>
#include <string>

#include "libs/config/load.h"
#include "libs/service/process.h"

namespace slipstream::service {

namespace {

sigset_t EndSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

int Main(int argc, char** argv, const ProcessOptions& options,
         const std::vector<ModuleFactory>& modules) {
  // A peer that goes away is an error code, not a signal. SIGTERM and SIGINT are waited for below;
  // blocked here, before any thread is made, so that all threads inherit it.
  signal(SIGPIPE, SIG_IGN);
  const sigset_t signals = EndSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  const auto loaded = config::LoadConfig(argc, argv, config::ProcessEnvironment());
  if (auto code = config::ExitCode(loaded)) return *code;

  Process process(loaded->config, options);
  if (absl::Status status = process.Start(modules); !status.ok()) {
    std::fprintf(stderr, "%s: %s\n", options.name.c_str(), std::string(status.message()).c_str());
    return 1;
  }
  int signal_number = 0;
  sigwait(&signals, &signal_number);
  // A second signal ends the process at once.
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  process.Shutdown();
  return 0;
}

}  // namespace slipstream::service
