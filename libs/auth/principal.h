// Who is calling: what a verified token says, and nothing a caller could have made up.
//
// Thread safety: a plain value; shared between threads only as shared_ptr<const Principal>.
#ifndef SLIPSTREAM_LIBS_AUTH_PRINCIPAL_H_
#define SLIPSTREAM_LIBS_AUTH_PRINCIPAL_H_

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace slipstream::auth {

struct Principal {
  // Claim `sub`, 1-128 bytes of UTF-8 without control characters. Empty only when nobody is signed
  // in (an RPC whose option opens it to everybody).
  std::string user;
  // Claim `tenant`; empty when the token names none.
  std::string tenant;
  // Claim `roles`, at most 16.
  std::vector<std::string> roles;
  // Claim `exp`, without leeway.
  absl::Time expires_at = absl::InfinitePast();
  // Claim `jti`; empty when the token has none.
  std::string token_id;
  // When a service acts for a user: the `sub` of the service. Then user, tenant and roles are the
  // user's.
  std::string acting_service;

  bool HasRole(std::string_view role) const {
    return std::find(roles.begin(), roles.end(), role) != roles.end();
  }
};

}  // namespace slipstream::auth

#endif  // SLIPSTREAM_LIBS_AUTH_PRINCIPAL_H_
