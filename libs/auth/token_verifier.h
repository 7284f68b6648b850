// Checks a JWT in JWS compact serialization (RFC 7515, 7519, 8725) and says whose it is.
//
// In this order: size, three segments, header (strict base64url and JSON, algorithm on the
// allow-list, no `crit`), a key of exactly that algorithm and `kid`, signature, and only then the
// claims. What the header offers as a key (`jwk`, `jku`, `x5c`, `x5u`) is never looked at.
//
// Thread safety: immutable; Verify may run on any number of threads.
// Errors: UNAUTHENTICATED, with the reasons TOKEN_* of reasons.h. No message repeats the token.
#ifndef SLIPSTREAM_LIBS_AUTH_TOKEN_VERIFIER_H_
#define SLIPSTREAM_LIBS_AUTH_TOKEN_VERIFIER_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/auth/key_set.h"
#include "libs/auth/principal.h"
#include "libs/clock/clock.h"

namespace slipstream::auth {

struct TokenVerifierOptions {
  std::vector<Algorithm> algorithms = {Algorithm::kHs256, Algorithm::kRs256, Algorithm::kEs256,
                                       Algorithm::kEdDsa};
  // Claim `iss` must equal it. Empty: not checked.
  std::string issuer = "slipstream";
  // Claim `aud`, a string or an array of at most 16, must name one of them. Empty: not checked.
  std::vector<std::string> audiences = {"slipstream"};
  // How far the clocks of issuer and verifier may differ, for exp, nbf and iat. A token is refused
  // from exp + leeway on, and accepted from nbf - leeway on.
  absl::Duration leeway = absl::Seconds(60);
};

class TokenVerifier {
 public:
  TokenVerifier(TokenVerifierOptions options, const clock::Clock& clock);

  absl::StatusOr<std::shared_ptr<const Principal>> Verify(std::string_view token,
                                                          const Keys& keys) const;

 private:
  const TokenVerifierOptions options_;
  const clock::Clock& clock_;
};

}  // namespace slipstream::auth

#endif  // SLIPSTREAM_LIBS_AUTH_TOKEN_VERIFIER_H_
