#include "libs/rpc/server_chain.h"

#include <memory>
#include <utility>
#include <vector>

#include "libs/rpc/stages/audit_stage.h"
#include "libs/rpc/stages/auth_stage.h"
#include "libs/rpc/stages/deadline_stage.h"
#include "libs/rpc/stages/limit_stage.h"
#include "libs/rpc/stages/observe_stage.h"
#include "libs/rpc/stages/trace_stage.h"

namespace slipstream::rpc {

Chain MakeServerChain(const ServerChainDeps& deps) {
  std::vector<std::unique_ptr<Stage>> stages;
  stages.push_back(MakeTraceStage(deps.clock, deps.random));
  stages.push_back(MakeAuthStage(deps.authenticator));
  stages.push_back(MakePermissionStage(deps.permissions));
  stages.push_back(MakeLimitStage(deps.max_inflight_count));
  stages.push_back(MakeMetricsStage(deps.metrics, deps.clock));
  stages.push_back(MakeLoggingStage(deps.logger, deps.clock));
  stages.push_back(MakeAuditStage(deps.audit, deps.service, deps.clock));
  stages.push_back(MakeDeadlineStage(deps.default_deadline));
  return Chain(std::move(stages));
}

}  // namespace slipstream::rpc
