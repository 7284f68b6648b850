// What a secret is, to those who look for one: its kind and where it begins, never its bytes.
#ifndef SERVICES_CACHE_SECRETS_FINDING_H_
#define SERVICES_CACHE_SECRETS_FINDING_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace slipstream::cache::secrets {

enum class Kind : uint8_t {
  kBearerToken,    // JWTs, credentials of an Authorization header
  kApiToken,       // opaque tokens and keys of well-known issuers, or under a telling name
  kPassword,       // under a telling name, or in a URL's user part
  kPrivateKey,     // PEM, OpenSSH, PuTTY, PGP, JWK
  kSessionCookie,  // of a Cookie or Set-Cookie header
  kCardNumber,     // Luhn's digit and a card scheme's range
  kOverEncoded,    // encoded so often that looking through it would take unbounded time
};
inline constexpr size_t kKindCount = 7;
inline constexpr std::array<std::string_view, kKindCount> kKindNames = {
    "bearer_token",   "api_token",   "password",    "private_key",
    "session_cookie", "card_number", "over_encoded"};
constexpr std::string_view NameOf(Kind kind) { return kKindNames[static_cast<size_t>(kind)]; }

struct Finding {
  Kind kind;
  size_t at = 0;  // offset in bytes; of the encoded stretch when it was found inside one
};

}  // namespace slipstream::cache::secrets

#endif  // SERVICES_CACHE_SECRETS_FINDING_H_
