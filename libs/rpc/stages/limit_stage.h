// Stage 4: a bound on the calls in progress, so that overload is refused at once and the admitted
// calls stay fast. Streams do not count: they are long and idle, and each service bounds its own.
//
// Errors: RESOURCE_EXHAUSTED, reason OVERLOADED, with a retry delay.
#ifndef LIBS_RPC_STAGES_LIMIT_STAGE_H_
#define LIBS_RPC_STAGES_LIMIT_STAGE_H_

#include <memory>

#include "libs/rpc/chain.h"

namespace slipstream::rpc {

std::unique_ptr<Stage> MakeLimitStage(int max_inflight_count);

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_STAGES_LIMIT_STAGE_H_
