// Signs tokens with a key of the server's own key set: for slipctl token, tools/up and the tokens
// that services of one installation show one another. Not an identity provider.
//
// Thread safety: TokenIssuer is immutable and IssuedToken locks; both may be used from any thread.
// Errors: INVALID_ARGUMENT with the field; FAILED_PRECONDITION, reason NO_SIGNING_KEY, when the key
// set can only verify.
#ifndef SLIPSTREAM_LIBS_AUTH_TOKEN_ISSUER_H_
#define SLIPSTREAM_LIBS_AUTH_TOKEN_ISSUER_H_

#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/auth/key_set.h"
#include "libs/clock/clock.h"
#include "libs/sync/mutex.h"

namespace slipstream::auth {

struct TokenIssuerOptions {
  std::string issuer = "slipstream";    // claim `iss`; left out when empty
  std::string audience = "slipstream";  // claim `aud`; left out when empty
  // Which key signs. Empty: the first one with a private part.
  std::string kid;
};

struct TokenRequest {
  std::string user;
  std::vector<std::string> roles = {"user"};
  std::string tenant;    // optional
  std::string token_id;  // optional
  // 1 s to 365 days, counted in whole seconds.
  absl::Duration lifetime = absl::Hours(1);
};

class TokenIssuer {
 public:
  // Both must outlive the issuer.
  TokenIssuer(TokenIssuerOptions options, const KeySet& keys, const clock::Clock& clock);

  absl::StatusOr<std::string> Issue(const TokenRequest& request) const;

 private:
  const TokenIssuerOptions options_;
  const KeySet& keys_;
  const clock::Clock& clock_;
};

// One token that is always fresh: issued again once half its lifetime is over, or the keys have
// changed. What a service sends to the others.
class IssuedToken {
 public:
  // All must outlive this.
  IssuedToken(TokenRequest request, const TokenIssuer& issuer, const KeySet& keys,
              const clock::Clock& clock);

  absl::StatusOr<std::string> Get();

 private:
  const TokenRequest request_;
  const TokenIssuer& issuer_;
  const KeySet& keys_;
  const clock::Clock& clock_;
  sync::Mutex mu_;
  std::string token_ ABSL_GUARDED_BY(mu_);
  uint64_t generation_ ABSL_GUARDED_BY(mu_) = 0;
  // Both clocks: `exp` is wall time, and the wall clock may be set back under us.
  absl::Time renew_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  absl::Duration renew_at_monotonic_ ABSL_GUARDED_BY(mu_) = -absl::InfiniteDuration();
};

}  // namespace slipstream::auth

#endif  // SLIPSTREAM_LIBS_AUTH_TOKEN_ISSUER_H_
