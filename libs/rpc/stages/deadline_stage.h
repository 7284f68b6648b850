// The last stage: a call whose time is over is not begun, and a call without a deadline gets the
// method's own, or the server's when the method names none.
//
// Errors: DEADLINE_EXCEEDED, reason DEADLINE_EXCEEDED.
#ifndef LIBS_RPC_STAGES_DEADLINE_STAGE_H_
#define LIBS_RPC_STAGES_DEADLINE_STAGE_H_

#include <memory>

#include "absl/time/time.h"
#include "libs/rpc/chain.h"

namespace slipstream::rpc {

std::unique_ptr<Stage> MakeDeadlineStage(absl::Duration default_deadline);

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_STAGES_DEADLINE_STAGE_H_
