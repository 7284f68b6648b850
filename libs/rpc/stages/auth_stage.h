// Stages 2 and 3: who is calling, and may they.
//
// auth verifies the bearer token of the `authorization` metadata again in every service, whatever
// the edge did. A method that is `open` accepts no token, but a token that is sent must be valid.
// permission asks the role map for the permission named by the method's policy option.
//
// Errors: UNAUTHENTICATED and PERMISSION_DENIED with the reasons of libs/auth/reasons.h.
#ifndef LIBS_RPC_STAGES_AUTH_STAGE_H_
#define LIBS_RPC_STAGES_AUTH_STAGE_H_

#include <memory>

#include "libs/auth/authenticator.h"
#include "libs/auth/permissions.h"
#include "libs/rpc/chain.h"

namespace slipstream::rpc {

std::unique_ptr<Stage> MakeAuthStage(auth::Authenticator& authenticator);
std::unique_ptr<Stage> MakePermissionStage(const auth::PermissionMap& permissions);

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_STAGES_AUTH_STAGE_H_
