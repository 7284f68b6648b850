// Reads the text of a key file: a raw HS256 secret, or a JWK Set or single JWK (RFC 7517, 7518,
// 8037).
//
// Thread safety: pure functions. Errors: INVALID_ARGUMENT, reason KEY_FILE_INVALID; a message names
// the key by its place and id, never its contents.
#ifndef SLIPSTREAM_LIBS_AUTH_JWK_H_
#define SLIPSTREAM_LIBS_AUTH_JWK_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/auth/key.h"

namespace slipstream::auth {

// Also bounds the signature checks that one token without a `kid` can cost.
inline constexpr size_t kMaxKeyCount = 16;

// Keys meant for other uses (`use: enc`, unknown `kty` or `alg`) are skipped, as RFC 7517 section 5
// wants; a damaged key of a known kind refuses the whole set, and so do two keys with one `kid`.
absl::StatusOr<std::vector<Key>> ParseJwkSet(std::string_view text);

// A text that starts with '{' is a JWK (Set); anything else is the secret itself, less one trailing
// line break. PEM is refused: it would turn a public key into a shared secret.
absl::StatusOr<std::vector<Key>> ParseSecretOrJwkSet(std::string_view text);

}  // namespace slipstream::auth

#endif  // SLIPSTREAM_LIBS_AUTH_JWK_H_
