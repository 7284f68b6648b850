// One key that checks, and perhaps makes, JWS signatures (RFC 7515, 7518, 8037), over OpenSSL's
// EVP.
//
// A key is bound to one algorithm when it is read and is never used with another, whatever a
// token's header says: that is what rules out verifying an HS256 token with an RSA public key as
// its secret.
//
// Thread safety: immutable after construction; Verify and Sign may run on any number of threads
// (each call has its own OpenSSL context). Copies share the key material. Why OpenSSL and not
// rhonabwy: rhonabwy converts the JWK to a GnuTLS key on every verification and pulls in GnuTLS and
// jansson; here a key is parsed once, and gRPC already loads OpenSSL.
#ifndef SLIPSTREAM_LIBS_AUTH_KEY_H_
#define SLIPSTREAM_LIBS_AUTH_KEY_H_

#include <openssl/types.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace slipstream::auth {

enum class Algorithm { kHs256, kRs256, kEs256, kEdDsa };

// The name in a JWS header: "HS256", "RS256", "ES256", "EdDSA".
std::string_view AlgorithmName(Algorithm algorithm);

// Exact, case-sensitive. Nothing for any other name, `none` included.
std::optional<Algorithm> AlgorithmFromName(std::string_view name);

class Key {
 public:
  // An HS256 secret of at least 32 bytes (RFC 7518 section 3.2). Errors: INVALID_ARGUMENT.
  static absl::StatusOr<Key> FromSecret(std::string kid, std::string_view secret);

  // An asymmetric key, already checked to fit `algorithm`. `can_sign`: it holds the private part.
  static Key FromEvp(Algorithm algorithm, std::string kid, std::shared_ptr<EVP_PKEY> key,
                     bool can_sign);

  Algorithm algorithm() const { return algorithm_; }
  // Empty when the key has no id (a raw secret file).
  const std::string& kid() const { return kid_; }
  bool can_sign() const { return can_sign_; }

  // `signature` as JWS writes it: ES256 is r || s of 32 bytes each, not DER.
  bool Verify(std::string_view signing_input, std::string_view signature) const;

  // Errors: FAILED_PRECONDITION when only the public part is known, INTERNAL when OpenSSL fails.
  absl::StatusOr<std::string> Sign(std::string_view signing_input) const;

 private:
  Key(Algorithm algorithm, std::string kid, bool can_sign);

  Algorithm algorithm_;
  std::string kid_;
  bool can_sign_;
  std::shared_ptr<EVP_PKEY> pkey_;  // RS256, ES256, EdDSA
  std::shared_ptr<EVP_MAC_CTX>
      mac_;  // HS256: keyed once, duplicated for each use, never updated itself
};

}  // namespace slipstream::auth

#endif  // SLIPSTREAM_LIBS_AUTH_KEY_H_
