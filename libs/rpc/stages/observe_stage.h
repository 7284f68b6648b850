// Stages 5 and 6: what a call leaves behind in metrics and in the log.
//
// The series have the names of go-grpc-prometheus, so that existing dashboards fit. One log line is
// written per call: debug for success, info for the caller's mistakes, warning for ours. Neither
// messages nor tokens are logged.
#ifndef LIBS_RPC_STAGES_OBSERVE_STAGE_H_
#define LIBS_RPC_STAGES_OBSERVE_STAGE_H_

#include <memory>
#include <vector>

#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/metrics/registry.h"
#include "libs/rpc/chain.h"

namespace slipstream::rpc {

std::unique_ptr<Stage> MakeMetricsStage(metrics::Registry& registry, const clock::Clock& clock);
std::unique_ptr<Stage> MakeLoggingStage(logging::Logger logger, const clock::Clock& clock);

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_STAGES_OBSERVE_STAGE_H_
