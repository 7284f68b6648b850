// The token that a service presents when it calls another.
//
// In this order: auth.service_token; the file auth.service_token_file, reread when it changes; or,
// where the process holds a signing key (an HS256 secret, as the embedded default does), tokens of
// its own making with the role `service`, renewed before they end.
//
// Thread safety: Get from any thread.
#ifndef LIBS_SERVICE_SERVICE_TOKEN_H_
#define LIBS_SERVICE_SERVICE_TOKEN_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/auth/key_set.h"
#include "libs/auth/token_issuer.h"
#include "libs/clock/clock.h"
#include "libs/sync/mutex.h"

namespace slipstream::config::v1 {
class AuthConfig;
}

namespace slipstream::service {

class ServiceToken {
 public:
  // `keys` and `clock` outlive this. `service` becomes the subject of tokens made here.
  ServiceToken(const config::v1::AuthConfig& config, const std::string& service,
               const auth::KeySet& keys, const clock::Clock& clock);

  // FAILED_PRECONDITION when there is neither a token nor a signing key, or the file is unreadable.
  absl::StatusOr<std::string> Get();

 private:
  absl::StatusOr<std::string> FromFile();

  const std::string fixed_;
  const std::string path_;
  const clock::Clock& clock_;
  auth::TokenIssuer issuer_;
  auth::IssuedToken issued_;
  sync::Mutex mutex_;
  std::string file_token_ ABSL_GUARDED_BY(mutex_);
  absl::Duration read_again_at_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
};

}  // namespace slipstream::service

#endif  // LIBS_SERVICE_SERVICE_TOKEN_H_
