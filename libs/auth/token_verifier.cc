#include "libs/auth/token_verifier.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "libs/auth/base64url.h"
#include "libs/auth/claim_text.h"
#include "libs/auth/reasons.h"
#include "libs/auth/strict_json.h"
#include "libs/status/status.h"

namespace slipstream::auth {
namespace {

using nlohmann::json;

constexpr double kMaxUnixSeconds = 253402300799;  // 9999-12-31T23:59:59Z

absl::Status Refuse(const char* reason, const std::string& message) {
  return status::Error(absl::StatusCode::kUnauthenticated, reason, message);
}

absl::Status Malformed(const std::string& what) {
  return Refuse(kTokenMalformed, "the token is not a valid JWT: " + what +
                                     "; sign in again and send the token exactly as issued");
}

struct Segments {
  std::string_view header, payload, signature, signing_input;
};

std::optional<Segments> Split(std::string_view token) {
  const size_t first = token.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const size_t second = token.find('.', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  if (token.find('.', second + 1) != std::string_view::npos) return std::nullopt;
  return Segments{.header = token.substr(0, first),
                  .payload = token.substr(first + 1, second - first - 1),
                  .signature = token.substr(second + 1),
                  .signing_input = token.substr(0, second)};
}

std::optional<json> DecodeObject(std::string_view segment) {
  const auto text = Base64UrlDecode(segment);
  if (!text) return std::nullopt;
  return ParseStrictJsonObject(*text);
}

bool IsJwtType(std::string type) {
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return type == "jwt" || type == "at+jwt" || type == "application/at+jwt";
}

struct Header {
  Algorithm algorithm;
  std::string kid;
};

absl::StatusOr<Header> ReadHeader(std::string_view segment, const std::vector<Algorithm>& allowed) {
  const auto header = DecodeObject(segment);
  if (!header) return Malformed("its header is not base64url-coded JSON");
  const auto name = StringMember(*header, "alg");
  if (!name) return Malformed("its header has no `alg`");
  const auto algorithm = AlgorithmFromName(*name);
  if (!algorithm || std::find(allowed.begin(), allowed.end(), *algorithm) == allowed.end()) {
    std::string list;
    for (const Algorithm one : allowed) {
      list += (list.empty() ? "" : ", ") + std::string(AlgorithmName(one));
    }
    return Refuse(kTokenAlgorithmRefused,
                  "the token's algorithm is not accepted; have it signed with one of: " + list);
  }
  if (header->contains("crit")) {
    return Malformed("its header demands extensions (`crit`) that are not known here");
  }
  if (header->contains("typ")) {
    const auto type = StringMember(*header, "typ");
    if (!type || !IsJwtType(*type)) return Malformed("its header's `typ` is not JWT");
  }
  Header read{.algorithm = *algorithm, .kid = ""};
  if (header->contains("kid")) {
    read.kid = StringMember(*header, "kid").value_or("");
    if (!IsClaimText(read.kid, kMaxKeyIdBytes)) {
      return Malformed("its header's `kid` must be a string of 1-128 bytes");
    }
  }
  return read;
}

// With a `kid`: the key of that id, or else the keys without an id (a raw secret file names none).
// Without: every key. Of these, only keys of the token's algorithm are ever tried.
absl::Status CheckSignature(const Header& header, const Segments& segments,
                            const std::string& signature, const Keys& keys) {
  const bool kid_is_known =
      !header.kid.empty() && std::any_of(keys.keys.begin(), keys.keys.end(),
                                         [&](const Key& key) { return key.kid() == header.kid; });
  bool any_candidate = false;
  bool any_of_algorithm = false;
  for (const Key& key : keys.keys) {
    if (kid_is_known && key.kid() != header.kid) continue;
    if (!kid_is_known && !header.kid.empty() && !key.kid().empty()) continue;
    any_candidate = true;
    if (key.algorithm() != header.algorithm) continue;
    any_of_algorithm = true;
    if (key.Verify(segments.signing_input, signature)) return absl::OkStatus();
  }
  if (any_candidate && !any_of_algorithm) {
    return Refuse(kTokenAlgorithmRefused,
                  "no key for " + std::string(AlgorithmName(header.algorithm)) +
                      " fits this token; have it signed with the algorithm of the server's key");
  }
  if (keys.keys.empty()) {
    return Refuse(
        kTokenBadSignature,
        "the server has no key to check tokens with; its operator must configure a secret "
        "file or a JWK Set");
  }
  return Refuse(kTokenBadSignature,
                any_candidate
                    ? "the token's signature does not fit the server's keys; sign in again"
                    : "the token names a key (`kid`) that the server does not have; sign in again, "
                      "or add the key to the server's key file");
}

// Claims exp, nbf, iat: seconds since 1970, whole or with a fraction.
absl::StatusOr<std::optional<absl::Time>> TimeClaim(const json& claims, const char* name) {
  const auto it = claims.find(name);
  if (it == claims.end()) return std::optional<absl::Time>();
  const double seconds = it->is_number() ? it->get<double>() : -1;
  if (!std::isfinite(seconds) || seconds < 0 || seconds > kMaxUnixSeconds) {
    return Malformed(std::string("claim `") + name + "` must be seconds since 1970");
  }
  return std::optional<absl::Time>(absl::UnixEpoch() + absl::Seconds(seconds));
}

absl::StatusOr<absl::Time> CheckTimes(const json& claims, absl::Time now, absl::Duration leeway) {
  const auto exp = TimeClaim(claims, "exp");
  if (!exp.ok()) return exp.status();
  if (!*exp) return Malformed("claim `exp` is missing");
  if (now >= **exp + leeway) {
    return Refuse(kTokenExpired, "the token has expired; sign in again for a new one");
  }
  for (const char* name : {"nbf", "iat"}) {
    const auto start = TimeClaim(claims, name);
    if (!start.ok()) return start.status();
    if (*start && now < **start - leeway) {
      return Refuse(kTokenNotYetValid,
                    std::string("the token is not valid yet (`") + name +
                        "` lies ahead); try later, or set the clocks of issuer and server right");
    }
  }
  return **exp;
}

absl::Status CheckIssuer(const json& claims, const std::string& issuer) {
  if (issuer.empty() || StringMember(claims, "iss") == issuer) return absl::OkStatus();
  return Refuse(kTokenBadIssuer, "the token comes from another issuer; get one issued by '" +
                                     issuer + "' (claim `iss`)");
}

absl::Status CheckAudience(const json& claims, const std::vector<std::string>& accepted) {
  if (accepted.empty()) return absl::OkStatus();
  const auto accepts = [&](const json& name) {
    return name.is_string() && std::find(accepted.begin(), accepted.end(),
                                         name.get_ref<const std::string&>()) != accepted.end();
  };
  if (const auto aud = claims.find("aud"); aud != claims.end()) {
    if (accepts(*aud)) return absl::OkStatus();
    const auto is_string = [](const json& name) { return name.is_string(); };
    const bool is_list = aud->is_array() && aud->size() <= kMaxAudienceCount &&
                         std::all_of(aud->begin(), aud->end(), is_string);
    if (is_list && std::any_of(aud->begin(), aud->end(), accepts)) return absl::OkStatus();
    if (!is_list && !aud->is_string()) {
      return Malformed("claim `aud` must be a string or an array of at most 16 strings");
    }
  }
  return Refuse(kTokenBadAudience, "the token is meant for somebody else; get one for '" +
                                       accepted.front() + "' (claim `aud`)");
}

// An optional text claim into `out`.
absl::Status TextClaim(const json& claims, const char* name, size_t max_bytes, std::string& out) {
  const auto it = claims.find(name);
  if (it == claims.end()) return absl::OkStatus();
  out = StringMember(claims, name).value_or("");
  if (IsClaimText(out, max_bytes)) return absl::OkStatus();
  return Malformed(std::string("claim `") + name + "` must be a string of 1-" +
                   std::to_string(max_bytes) + " bytes without control characters");
}

absl::StatusOr<std::vector<std::string>> RolesClaim(const json& claims) {
  std::vector<std::string> roles;
  const auto it = claims.find("roles");
  if (it == claims.end()) return roles;
  const absl::Status wrong =
      Malformed("claim `roles` must be an array of at most 16 strings of 1-64 bytes");
  if (!it->is_array() || it->size() > kMaxRoleCount) return wrong;
  for (const json& role : *it) {
    if (!role.is_string()) return wrong;
    roles.push_back(role.get<std::string>());
    if (!IsClaimText(roles.back(), kMaxRoleBytes)) return wrong;
  }
  return roles;
}

absl::StatusOr<std::shared_ptr<const Principal>> ReadPrincipal(const json& claims,
                                                               absl::Time expires_at) {
  auto principal = std::make_shared<Principal>();
  principal->expires_at = expires_at;
  if (!claims.contains("sub")) return Malformed("claim `sub` is missing");
  auto result = TextClaim(claims, "sub", kMaxSubjectBytes, principal->user);
  if (result.ok()) result = TextClaim(claims, "tenant", kMaxTenantBytes, principal->tenant);
  if (result.ok()) result = TextClaim(claims, "jti", kMaxTokenIdBytes, principal->token_id);
  if (!result.ok()) return result;
  auto roles = RolesClaim(claims);
  if (!roles.ok()) return roles.status();
  principal->roles = *std::move(roles);
  return principal;
}

}  // namespace

TokenVerifier::TokenVerifier(TokenVerifierOptions options, const clock::Clock& clock)
    : options_(std::move(options)), clock_(clock) {}

absl::StatusOr<std::shared_ptr<const Principal>> TokenVerifier::Verify(std::string_view token,
                                                                       const Keys& keys) const {
  if (token.empty()) {
    return Refuse(kTokenMissing,
                  "no token was sent; sign in and send 'Authorization: Bearer TOKEN'");
  }
  if (token.size() > kMaxTokenBytes) return Malformed("it is larger than 8 KiB");
  const auto segments = Split(token);
  if (!segments) return Malformed("it does not have three parts parted by dots");
  const auto header = ReadHeader(segments->header, options_.algorithms);
  if (!header.ok()) return header.status();
  const auto signature = Base64UrlDecode(segments->signature);
  if (!signature || signature->empty()) return Malformed("its signature is not base64url");
  const absl::Status signed_by_us = CheckSignature(*header, *segments, *signature, keys);
  if (!signed_by_us.ok()) return signed_by_us;

  const auto claims = DecodeObject(segments->payload);
  if (!claims) return Malformed("its claims are not base64url-coded JSON");
  const auto expires_at = CheckTimes(*claims, clock_.Now(), options_.leeway);
  if (!expires_at.ok()) return expires_at.status();
  absl::Status meant_for_us = CheckIssuer(*claims, options_.issuer);
  if (meant_for_us.ok()) meant_for_us = CheckAudience(*claims, options_.audiences);
  if (!meant_for_us.ok()) return meant_for_us;
  return ReadPrincipal(*claims, *expires_at);
}

}  // namespace slipstream::auth
