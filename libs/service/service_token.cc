#include "libs/service/service_token.h"

#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "slipstream/config/v1/config.pb.h"

namespace slipstream::service {

namespace {

constexpr absl::Duration kRereadInterval = absl::Seconds(5);

auth::TokenIssuerOptions IssuerOptions(const config::v1::AuthConfig& config) {
  auth::TokenIssuerOptions options;
  options.issuer = config.issuer();
  options.audience = config.audience();
  return options;
}

auth::TokenRequest RequestFor(const std::string& service) {
  auth::TokenRequest request;
  request.user = service;
  request.roles = {"service"};
  return request;
}

}  // namespace

ServiceToken::ServiceToken(const config::v1::AuthConfig& config, const std::string& service,
                           const auth::KeySet& keys, const clock::Clock& clock)
    : fixed_(config.service_token()),
      path_(config.service_token_file()),
      clock_(clock),
      issuer_(IssuerOptions(config), keys, clock),
      issued_(RequestFor(service), issuer_, keys, clock) {}

absl::StatusOr<std::string> ServiceToken::Get() {
  if (!fixed_.empty()) return fixed_;
  if (!path_.empty()) return FromFile();
  return issued_.Get();
}

absl::StatusOr<std::string> ServiceToken::FromFile() {
  sync::MutexLock lock(mutex_);
  if (clock_.Monotonic() < read_again_at_) return file_token_;
  std::ifstream file(path_);
  std::ostringstream text;
  text << file.rdbuf();
  std::string token(absl::StripAsciiWhitespace(text.str()));
  if (!file || token.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("auth.service_token_file ", path_, " cannot be read or is empty"));
  }
  file_token_ = std::move(token);
  read_again_at_ = clock_.Monotonic() + kRereadInterval;
  return file_token_;
}

}  // namespace slipstream::service
