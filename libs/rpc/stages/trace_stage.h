// Stage 1: every call has a trace context and a correlation id from here on.
//
// traceparent continues the caller's trace or starts one (W3C Trace Context). The correlation id is
// the caller's x-request-id (1-128 characters of [A-Za-z0-9._-]) or a new UUIDv7. A call that
// fails returns it as the trailer x-request-id. Both are made when they are first asked for
// (CallIds).
#ifndef LIBS_RPC_STAGES_TRACE_STAGE_H_
#define LIBS_RPC_STAGES_TRACE_STAGE_H_

#include <memory>
#include <string>
#include <string_view>

#include "libs/clock/clock.h"
#include "libs/random/random.h"
#include "libs/rpc/chain.h"

namespace slipstream::rpc {

std::unique_ptr<Stage> MakeTraceStage(const clock::Clock& clock, random::Random& random);

// The caller's request id when it may be used as it is, else a new one.
std::string CorrelationIdOf(std::string_view request_id, const clock::Clock& clock,
                            random::Random& random);

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_STAGES_TRACE_STAGE_H_
