#include "libs/auth/authenticator.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "libs/auth/claim_text.h"
#include "libs/auth/reasons.h"
#include "libs/status/status.h"

namespace slipstream::auth {
namespace {

absl::Status RefuseActAs(const std::string& message) {
  return status::Error(absl::StatusCode::kPermissionDenied, kActAsRefused, message);
}

}  // namespace

absl::StatusOr<std::string_view> BearerToken(std::string_view authorization) {
  if (authorization.empty()) {
    return status::Error(absl::StatusCode::kUnauthenticated, kTokenMissing,
                         "no token was sent; sign in and send 'Authorization: Bearer TOKEN'");
  }
  constexpr std::string_view kScheme = "bearer ";
  const std::string_view scheme = authorization.substr(0, kScheme.size());
  if (!absl::EqualsIgnoreCase({scheme.data(), scheme.size()}, {kScheme.data(), kScheme.size()})) {
    return status::Error(absl::StatusCode::kUnauthenticated, kTokenMalformed,
                         "the Authorization header must read 'Bearer TOKEN'");
  }
  authorization.remove_prefix(kScheme.size());
  while (authorization.starts_with(' ')) authorization.remove_prefix(1);
  return authorization;
}

Authenticator::Authenticator(AuthenticatorOptions options, KeySet& keys,
                             const PermissionMap& permissions, const clock::Clock& clock)
    : keys_(keys),
      permissions_(permissions),
      clock_(clock),
      verifier_(std::move(options.verifier), clock),
      cache_(options.max_cached_token_count) {}

absl::StatusOr<std::shared_ptr<const Principal>> Authenticator::Authenticate(
    std::string_view authorization, std::string_view act_as_user, std::string_view act_as_tenant) {
  const auto token = BearerToken(authorization);
  if (!token.ok()) return token.status();
  auto principal = AuthenticateToken(*token);
  if (!principal.ok() || (act_as_user.empty() && act_as_tenant.empty())) return principal;
  return ActAs(*principal, act_as_user, act_as_tenant);
}

absl::StatusOr<std::shared_ptr<const Principal>> Authenticator::AuthenticateToken(
    std::string_view token) {
  keys_.RefreshIfDue();
  // Too long for a token: not worth hashing. The verifier says so.
  if (token.empty() || token.size() > kMaxTokenBytes) return verifier_.Verify(token, Keys());
  const absl::Time now = clock_.Now();
  const uint64_t generation = keys_.generation();
  if (auto known = recent_.Find(token, generation, now)) return known;
  const VerifiedTokenCache::Digest digest = cache_.DigestOf(token);
  if (auto known = cache_.Find(digest, generation, now)) {
    recent_.Keep(token, generation, known);
    return known;
  }
  // What is verified under these keys is remembered under their generation, whatever comes
  // meanwhile.
  const auto keys = keys_.Current();
  auto principal = verifier_.Verify(token, *keys);
  if (principal.ok()) cache_.Insert(digest, keys->generation, now, *principal);
  return principal;
}

VerifiedTokenCacheStats Authenticator::CacheStats() const {
  VerifiedTokenCacheStats out = cache_.Stats();
  out.hits_total += recent_.hits_total();
  return out;
}

absl::StatusOr<std::shared_ptr<const Principal>> Authenticator::ActAs(
    const std::shared_ptr<const Principal>& service, std::string_view user,
    std::string_view tenant) const {
  if (!permissions_.Allows(*service, kPermissionActAs)) {
    return RefuseActAs(
        "only a service with the permission 'auth.act_as' may act for a user; send the call "
        "without "
        "x-slipstream-act-as-user and -tenant");
  }
  if (!IsClaimText(user, kMaxSubjectBytes)) {
    return RefuseActAs("x-slipstream-act-as-user must have 1-128 bytes without control characters");
  }
  if (!tenant.empty() && !IsClaimText(tenant, kMaxTenantBytes)) {
    return RefuseActAs(
        "x-slipstream-act-as-tenant must have at most 128 bytes without control characters");
  }
  if (!service->tenant.empty() && !tenant.empty() && tenant != service->tenant) {
    return RefuseActAs(
        "this service's token is bound to one tenant, and it is not the one in "
        "x-slipstream-act-as-tenant");
  }
  auto acting = std::make_shared<Principal>();
  acting->user = std::string(user);
  acting->tenant = tenant.empty() ? service->tenant : std::string(tenant);
  acting->roles = {kRoleUser};
  acting->expires_at = service->expires_at;
  acting->token_id = service->token_id;
  acting->acting_service = service->user;
  return acting;
}

}  // namespace slipstream::auth
