// After logging: what goes to the append-only audit log. Calls of methods whose policy says
// `audited`, whatever their result, and every denial (PERMISSION_DENIED) of any method.
#ifndef LIBS_RPC_STAGES_AUDIT_STAGE_H_
#define LIBS_RPC_STAGES_AUDIT_STAGE_H_

#include <memory>
#include <string>

#include "libs/audit/audit_log.h"
#include "libs/clock/clock.h"
#include "libs/rpc/chain.h"

namespace slipstream::rpc {

std::unique_ptr<Stage> MakeAuditStage(audit::AuditLog& log, std::string service,
                                      const clock::Clock& clock);

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_STAGES_AUDIT_STAGE_H_
