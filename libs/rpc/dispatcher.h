// What the handler adapters need of the process: the chain, the executor of coroutines, the time.
#ifndef LIBS_RPC_DISPATCHER_H_
#define LIBS_RPC_DISPATCHER_H_

#include "libs/async/async.h"
#include "libs/clock/clock.h"
#include "libs/rpc/chain.h"

namespace slipstream::rpc {

struct Dispatcher {
  const Chain& chain;
  Executor executor;
  const clock::Clock& clock;
};

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_DISPATCHER_H_
