// Composes the chain of every server of the suite. The order here is the order of every call:
//
//   trace -> auth -> permission -> limits -> metrics -> logging -> audit -> deadline -> handler
#ifndef LIBS_RPC_SERVER_CHAIN_H_
#define LIBS_RPC_SERVER_CHAIN_H_

#include <string>

#include "libs/audit/audit_log.h"
#include "libs/auth/authenticator.h"
#include "libs/auth/permissions.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/metrics/registry.h"
#include "libs/random/random.h"
#include "libs/rpc/chain.h"

namespace slipstream::rpc {

struct ServerChainDeps {
  const clock::Clock& clock;
  random::Random& random;
  auth::Authenticator& authenticator;
  const auth::PermissionMap& permissions;
  metrics::Registry& metrics;
  logging::Logger logger;
  audit::AuditLog& audit;
  std::string service;  // this process, in audit entries
  int max_inflight_count = 10000;
  // For unary methods whose policy names none.
  absl::Duration default_deadline = absl::Seconds(10);
};

Chain MakeServerChain(const ServerChainDeps& deps);

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_SERVER_CHAIN_H_
