// From a verified call to the engines' Caller.
#ifndef SERVICES_TASK_QUEUE_RPC_CALLER_H_
#define SERVICES_TASK_QUEUE_RPC_CALLER_H_

#include "libs/auth/permissions.h"
#include "libs/rpc/call_context.h"
#include "libs/trace/trace_context.h"
#include "services/task_queue/caller.h"

namespace slipstream::task_queue {

inline constexpr char kAdminPermission[] = "tasks.admin";

inline Caller CallerOf(const rpc::CallContext& call, const auth::PermissionMap& permissions) {
  const auth::Principal& principal = call.principal();
  Caller caller;
  caller.user = principal.user;
  caller.tenant = principal.tenant;
  caller.admin = permissions.Allows(principal, kAdminPermission);
  caller.correlation_id = call.correlation_id();
  if (!call.trace().trace_id.empty()) caller.traceparent = trace::FormatTraceparent(call.trace());
  return caller;
}

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_RPC_CALLER_H_
