// What gRPC needs of the process, set once by whoever first makes a server or a channel.
#ifndef LIBS_RPC_PROCESS_SETTINGS_H_
#define LIBS_RPC_PROCESS_SETTINGS_H_

#include <mutex>

#include "absl/synchronization/mutex.h"

namespace slipstream::rpc {

// Debian builds Abseil with its deadlock detector on, which puts every lock of gRPC's into one
// graph under one spin lock. Our own locks are libs/sync's, which it does not see.
inline void SetUpProcess() {
  static std::once_flag once;
  std::call_once(once, [] { absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore); });
}

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_PROCESS_SETTINGS_H_
