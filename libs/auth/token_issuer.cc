#include "libs/auth/token_issuer.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "libs/auth/base64url.h"
#include "libs/auth/claim_text.h"
#include "libs/auth/reasons.h"
#include "libs/status/status.h"

namespace slipstream::auth {
namespace {

constexpr absl::Duration kMinLifetime = absl::Seconds(1);
constexpr absl::Duration kMaxLifetime = absl::Hours(24 * 365);

absl::Status CheckRequest(const TokenRequest& request) {
  if (!IsClaimText(request.user, kMaxSubjectBytes)) {
    return status::FieldError("user", "give 1-128 bytes without control characters");
  }
  if (!request.tenant.empty() && !IsClaimText(request.tenant, kMaxTenantBytes)) {
    return status::FieldError("tenant", "give at most 128 bytes without control characters");
  }
  if (!request.token_id.empty() && !IsClaimText(request.token_id, kMaxTokenIdBytes)) {
    return status::FieldError("token_id", "give at most 128 bytes without control characters");
  }
  if (request.roles.size() > kMaxRoleCount) {
    return status::FieldError("roles", "give at most 16 roles");
  }
  for (const std::string& role : request.roles) {
    if (!IsClaimText(role, kMaxRoleBytes)) {
      return status::FieldError("roles", "a role has 1-64 bytes without control characters");
    }
  }
  if (request.lifetime < kMinLifetime || request.lifetime > kMaxLifetime) {
    return status::FieldError("lifetime", "give 1 second to 365 days");
  }
  return absl::OkStatus();
}

}  // namespace

TokenIssuer::TokenIssuer(TokenIssuerOptions options, const KeySet& keys, const clock::Clock& clock)
    : options_(std::move(options)), keys_(keys), clock_(clock) {}

absl::StatusOr<std::string> TokenIssuer::Issue(const TokenRequest& request) const {
  if (const absl::Status valid = CheckRequest(request); !valid.ok()) return valid;
  const auto keys = keys_.Current();
  const Key* signer = nullptr;
  for (const Key& key : keys->keys) {
    if (!key.can_sign() || (!options_.kid.empty() && key.kid() != options_.kid)) continue;
    signer = &key;
    break;
  }
  if (signer == nullptr) {
    return status::Error(absl::StatusCode::kFailedPrecondition, kNoSigningKey,
                         "the key file holds no key that can sign" +
                             (options_.kid.empty() ? "" : " with `kid` '" + options_.kid + "'") +
                             "; get the token from your identity provider, or give a key file with "
                             "a secret or a private key");
  }
  nlohmann::json header = {{"alg", AlgorithmName(signer->algorithm())}, {"typ", "JWT"}};
  if (!signer->kid().empty()) header["kid"] = signer->kid();
  const int64_t now = absl::ToUnixSeconds(clock_.Now());
  nlohmann::json claims = {{"sub", request.user},
                           {"roles", request.roles},
                           {"iat", now},
                           {"exp", now + absl::ToInt64Seconds(request.lifetime)}};
  if (!request.tenant.empty()) claims["tenant"] = request.tenant;
  if (!request.token_id.empty()) claims["jti"] = request.token_id;
  if (!options_.issuer.empty()) claims["iss"] = options_.issuer;
  if (!options_.audience.empty()) claims["aud"] = options_.audience;
  constexpr auto kReplace = nlohmann::json::error_handler_t::replace;  // dump must not throw
  const std::string signing_input = Base64UrlEncode(header.dump(-1, ' ', false, kReplace)) + "." +
                                    Base64UrlEncode(claims.dump(-1, ' ', false, kReplace));
  auto signature = signer->Sign(signing_input);
  if (!signature.ok()) return signature.status();
  std::string token = signing_input + "." + Base64UrlEncode(*signature);
  if (token.size() > kMaxTokenBytes) {
    return status::FieldError("roles", "the token would be larger than 8 KiB; give fewer claims");
  }
  return token;
}

IssuedToken::IssuedToken(TokenRequest request, const TokenIssuer& issuer, const KeySet& keys,
                         const clock::Clock& clock)
    : request_(std::move(request)), issuer_(issuer), keys_(keys), clock_(clock) {}

absl::StatusOr<std::string> IssuedToken::Get() {
  const uint64_t generation = keys_.generation();
  const absl::Time now = clock_.Now();
  const absl::Duration monotonic = clock_.Monotonic();
  sync::MutexLock lock(mu_);
  const bool fresh = !token_.empty() && generation == generation_ && now < renew_at_ &&
                     monotonic < renew_at_monotonic_;
  if (fresh) return token_;
  auto token = issuer_.Issue(request_);
  if (!token.ok()) return token.status();
  token_ = *std::move(token);
  generation_ = generation;
  renew_at_ = now + request_.lifetime / 2;
  renew_at_monotonic_ = monotonic + request_.lifetime / 2;
  return token_;
}

}  // namespace slipstream::auth
