// From the credentials of a call to the principal it runs as: key set, cache, verifier and the rule
// for acting in a user's name, in that order. Every server has one.
//
// Thread safety: all methods may be called from any thread. A token that
// this thread saw lately costs a comparison, one that another saw a SHA-256 and a look-up; a new
// one costs its signature check (microseconds), so both are fine on a gRPC thread.
// Errors: UNAUTHENTICATED with the reasons TOKEN_* of reasons.h; PERMISSION_DENIED, reason
// ACT_AS_REFUSED.
#ifndef SLIPSTREAM_LIBS_AUTH_AUTHENTICATOR_H_
#define SLIPSTREAM_LIBS_AUTH_AUTHENTICATOR_H_

#include <cstddef>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "libs/auth/key_set.h"
#include "libs/auth/permissions.h"
#include "libs/auth/principal.h"
#include "libs/auth/recent_tokens.h"
#include "libs/auth/token_verifier.h"
#include "libs/auth/verified_token_cache.h"
#include "libs/clock/clock.h"

namespace slipstream::auth {

// Metadata by which a service says for whom it acts.
inline constexpr char kActAsUserMetadata[] = "x-slipstream-act-as-user";
inline constexpr char kActAsTenantMetadata[] = "x-slipstream-act-as-tenant";

// The token of "Bearer TOKEN" (RFC 6750; the scheme in any case). UNAUTHENTICATED with
// TOKEN_MISSING or TOKEN_MALFORMED when it is not that. Refers to `authorization`.
absl::StatusOr<std::string_view> BearerToken(std::string_view authorization);

struct AuthenticatorOptions {
  TokenVerifierOptions verifier;
  size_t max_cached_token_count = 10'000;
};

class Authenticator {
 public:
  // All three must outlive the authenticator.
  Authenticator(AuthenticatorOptions options, KeySet& keys, const PermissionMap& permissions,
                const clock::Clock& clock);

  // `authorization`: the header's value, "Bearer TOKEN". `act_as_user`, `act_as_tenant`: the
  // metadata above, empty when absent. A service whose own token names a tenant may act within that
  // tenant alone.
  absl::StatusOr<std::shared_ptr<const Principal>> Authenticate(
      std::string_view authorization, std::string_view act_as_user = "",
      std::string_view act_as_tenant = "");

  // The token alone, as a WebSocket's first message brings it.
  absl::StatusOr<std::shared_ptr<const Principal>> AuthenticateToken(std::string_view token);

  VerifiedTokenCacheStats CacheStats() const;

 private:
  absl::StatusOr<std::shared_ptr<const Principal>> ActAs(
      const std::shared_ptr<const Principal>& service, std::string_view user,
      std::string_view tenant) const;

  KeySet& keys_;
  const PermissionMap& permissions_;
  const clock::Clock& clock_;
  const TokenVerifier verifier_;
  RecentTokens recent_;
  VerifiedTokenCache cache_;
};

}  // namespace slipstream::auth

#endif  // SLIPSTREAM_LIBS_AUTH_AUTHENTICATOR_H_
