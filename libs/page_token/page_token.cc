#include "libs/page_token/page_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::page_token {
namespace {

constexpr char kVersion = 1;
constexpr size_t kFilterHashBytes = 16;
constexpr size_t kMacBytes = SHA256_DIGEST_LENGTH;
constexpr size_t kHeaderBytes = 1 + kFilterHashBytes;
constexpr size_t kMaxTokenBytes = (kHeaderBytes + kMaxPositionBytes + kMacBytes) * 4 / 3 + 4;
// Separates these MACs from whatever else the same secret may sign.
constexpr absl::string_view kMacContext = "slipstream.page_token\n";

std::string FilterHash(absl::string_view filter) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(filter.data()), filter.size(), digest);
  return std::string(reinterpret_cast<const char*>(digest), kFilterHashBytes);
}

// "" when OpenSSL fails, which callers treat as an error; a real MAC is never empty.
std::string Mac(const std::string& secret, absl::string_view body) {
  const std::string input = absl::StrCat(kMacContext, body);
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int mac_bytes = 0;
  if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
           reinterpret_cast<const unsigned char*>(input.data()), input.size(), mac,
           &mac_bytes) == nullptr) {
    return "";
  }
  return std::string(reinterpret_cast<const char*>(mac), mac_bytes);
}

// One answer for every kind of damage: a forger learns nothing from it.
absl::Status NotOurs() {
  return status::FieldError("page_token",
                            "was not issued by this server, or was changed on the way; list again "
                            "without a page_token to start at the first page");
}

}  // namespace

absl::StatusOr<PageTokens> PageTokens::Create(std::string secret) {
  if (secret.size() < kMinSecretBytes) {
    return status::Error(absl::StatusCode::kInvalidArgument, "PAGE_TOKEN_SECRET_TOO_SHORT",
                         absl::StrCat("The page token secret has ", secret.size(),
                                      " bytes; configure one of at least ", kMinSecretBytes, "."));
  }
  return PageTokens(std::move(secret));
}

absl::StatusOr<std::string> PageTokens::Encode(absl::string_view position,
                                               absl::string_view filter) const {
  if (position.empty()) return std::string();
  if (position.size() > kMaxPositionBytes) {
    return status::Error(absl::StatusCode::kInternal, "PAGE_POSITION_TOO_LONG",
                         absl::StrCat("The listing's sort key has ", position.size(),
                                      " bytes and a page token holds ", kMaxPositionBytes,
                                      ". Report this as a defect of the service."));
  }
  std::string body = absl::StrCat(absl::string_view(&kVersion, 1), FilterHash(filter), position);
  const std::string mac = Mac(secret_, body);
  if (mac.size() != kMacBytes) {
    return status::Error(absl::StatusCode::kInternal, "PAGE_TOKEN_MAC_FAILED",
                         "OpenSSL could not compute HMAC-SHA256. Check its providers.");
  }
  return absl::WebSafeBase64Escape(body + mac);
}

absl::StatusOr<std::string> PageTokens::Decode(absl::string_view token,
                                               absl::string_view filter) const {
  if (token.empty()) return std::string();
  std::string bytes;
  if (token.size() > kMaxTokenBytes || !absl::WebSafeBase64Unescape(token, &bytes) ||
      bytes.size() <= kHeaderBytes + kMacBytes) {
    return NotOurs();
  }
  // Abseil's decoder skips spaces and padding; only the one form that Encode writes is taken.
  if (absl::WebSafeBase64Escape(bytes) != token) return NotOurs();

  const absl::string_view body(bytes.data(), bytes.size() - kMacBytes);
  const std::string mac = Mac(secret_, body);
  if (mac.size() != kMacBytes ||
      CRYPTO_memcmp(mac.data(), bytes.data() + body.size(), kMacBytes) != 0 ||
      body[0] != kVersion) {
    return NotOurs();
  }
  if (body.substr(1, kFilterHashBytes) != FilterHash(filter)) {
    return status::FieldError("page_token",
                              "belongs to a listing with other filters; send the same filters as "
                              "for the page before, or list again without a page_token");
  }
  return std::string(body.substr(kHeaderBytes));
}

}  // namespace slipstream::page_token
