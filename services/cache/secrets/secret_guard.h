// Whether bytes carry a secret: bearer tokens, API tokens, passwords, private keys, session cookies
// or card numbers, plain or encoded.
//
// It looks at the bytes as they are, then at what every stretch of base64 (both alphabets, padded
// or not, wrapped or not) and every percent-, JSON- or HTML-escape in them means, and so on to
// kMaxDepth. Binary bytes are searched as they are; what is compressed or encrypted is opaque to
// it. It decides by structure (an issuer's prefix, a field's name with a value, Luhn's digit in a
// card scheme's range), not by entropy, so that hashes, ids and images pass.
//
// Cost: linear in the bytes, one pass and no allocation for text without base64 or escapes. What
// decoding may add is bounded by kMaxDecodedFactor; bytes that would need more are refused.
//
// Thread safety: pure functions. Nothing here fails.
#ifndef SERVICES_CACHE_SECRETS_SECRET_GUARD_H_
#define SERVICES_CACHE_SECRETS_SECRET_GUARD_H_

#include <optional>
#include <string_view>

#include "services/cache/secrets/finding.h"

namespace slipstream::cache::secrets {

// Encodings within encodings that are looked through.
inline constexpr int kMaxDepth = 3;
// Bytes decoded for one value, in multiples of its size, and what is allowed in any case.
inline constexpr size_t kMaxDecodedFactor = 16;
inline constexpr size_t kMinDecodedBytes = 64 << 10;

// The first secret that is met.
std::optional<Finding> FindSecret(std::string_view bytes);

}  // namespace slipstream::cache::secrets

#endif  // SERVICES_CACHE_SECRETS_SECRET_GUARD_H_
