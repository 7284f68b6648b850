#include "libs/auth/key.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <cstdint>
#include <utility>

#include "libs/auth/openssl_ptr.h"
#include "libs/auth/reasons.h"
#include "libs/status/status.h"

namespace slipstream::auth {
namespace {

constexpr size_t kMinSecretBytes = 32;
constexpr size_t kMacBytes = 32;
constexpr size_t kEs256HalfBytes = 32;

const uint8_t* Bytes(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}
uint8_t* Bytes(std::string& text) { return reinterpret_cast<uint8_t*>(text.data()); }

const EVP_MD* DigestOf(Algorithm algorithm) {
  return algorithm == Algorithm::kEdDsa ? nullptr : EVP_sha256();
}

// r || s to the DER form that EVP wants. Empty on a wrong length.
std::string DerFromRaw(std::string_view raw) {
  if (raw.size() != 2 * kEs256HalfBytes) return {};
  EcdsaSigPtr signature(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(Bytes(raw), kEs256HalfBytes, nullptr);
  BIGNUM* s = BN_bin2bn(Bytes(raw) + kEs256HalfBytes, kEs256HalfBytes, nullptr);
  if (!signature || r == nullptr || s == nullptr || ECDSA_SIG_set0(signature.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return {};
  }
  const int size = i2d_ECDSA_SIG(signature.get(), nullptr);
  if (size <= 0) return {};
  std::string der(static_cast<size_t>(size), '\0');
  uint8_t* out = Bytes(der);
  i2d_ECDSA_SIG(signature.get(), &out);
  return der;
}

std::string RawFromDer(std::string_view der) {
  const uint8_t* in = Bytes(der);
  EcdsaSigPtr signature(d2i_ECDSA_SIG(nullptr, &in, static_cast<long>(der.size())));
  if (!signature) return {};
  std::string raw(2 * kEs256HalfBytes, '\0');
  const int half = static_cast<int>(kEs256HalfBytes);
  if (BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), Bytes(raw), half) != half ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), Bytes(raw) + half, half) != half) {
    return {};
  }
  return raw;
}

// Empty when OpenSSL fails.
std::string Mac(const EVP_MAC_CTX& keyed, std::string_view text) {
  MacCtxPtr context(EVP_MAC_CTX_dup(&keyed));
  std::string mac(kMacBytes, '\0');
  size_t size = 0;
  if (!context || EVP_MAC_update(context.get(), Bytes(text), text.size()) != 1 ||
      EVP_MAC_final(context.get(), Bytes(mac), &size, mac.size()) != 1 || size != kMacBytes) {
    return {};
  }
  return mac;
}

}  // namespace

std::string_view AlgorithmName(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kHs256:
      return "HS256";
    case Algorithm::kRs256:
      return "RS256";
    case Algorithm::kEs256:
      return "ES256";
    case Algorithm::kEdDsa:
      return "EdDSA";
  }
  return "";
}

std::optional<Algorithm> AlgorithmFromName(std::string_view name) {
  for (const Algorithm algorithm :
       {Algorithm::kHs256, Algorithm::kRs256, Algorithm::kEs256, Algorithm::kEdDsa}) {
    if (name == AlgorithmName(algorithm)) return algorithm;
  }
  return std::nullopt;
}

Key::Key(Algorithm algorithm, std::string kid, bool can_sign)
    : algorithm_(algorithm), kid_(std::move(kid)), can_sign_(can_sign) {}

absl::StatusOr<Key> Key::FromSecret(std::string kid, std::string_view secret) {
  if (secret.size() < kMinSecretBytes) {
    return status::Error(
        absl::StatusCode::kInvalidArgument, kKeyFileInvalid,
        "an HS256 secret must have at least 32 bytes; make one with: openssl rand -hex 32");
  }
  const OpenSslErrorMark mark;
  Key key(Algorithm::kHs256, std::move(kid), /*can_sign=*/true);
  MacPtr hmac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  if (hmac) {
    key.mac_ = std::shared_ptr<EVP_MAC_CTX>(EVP_MAC_CTX_new(hmac.get()), &EVP_MAC_CTX_free);
  }
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                               OSSL_PARAM_construct_end()};
  if (!key.mac_ || EVP_MAC_init(key.mac_.get(), Bytes(secret), secret.size(), params) != 1) {
    return status::Error(absl::StatusCode::kFailedPrecondition, kKeyFileInvalid,
                         "OpenSSL offers no HMAC-SHA256 here; check its provider configuration");
  }
  return key;
}

Key Key::FromEvp(Algorithm algorithm, std::string kid, std::shared_ptr<EVP_PKEY> pkey,
                 bool can_sign) {
  Key key(algorithm, std::move(kid), can_sign);
  key.pkey_ = std::move(pkey);
  return key;
}

bool Key::Verify(std::string_view signing_input, std::string_view signature) const {
  const OpenSslErrorMark mark;
  if (algorithm_ == Algorithm::kHs256) {
    const std::string mac = Mac(*mac_, signing_input);
    return !mac.empty() && signature.size() == mac.size() &&
           CRYPTO_memcmp(mac.data(), signature.data(), mac.size()) == 0;
  }
  std::string der;
  if (algorithm_ == Algorithm::kEs256) {
    der = DerFromRaw(signature);
    if (der.empty()) return false;
    signature = der;
  }
  MdCtxPtr context(EVP_MD_CTX_new());
  return context &&
         EVP_DigestVerifyInit(context.get(), nullptr, DigestOf(algorithm_), nullptr, pkey_.get()) ==
             1 &&
         EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(signing_input),
                          signing_input.size()) == 1;
}

absl::StatusOr<std::string> Key::Sign(std::string_view signing_input) const {
  const OpenSslErrorMark mark;
  if (!can_sign_) {
    return status::Error(absl::StatusCode::kFailedPrecondition, kNoSigningKey,
                         "the key '" + kid_ +
                             "' is public; sign with a key file that holds its "
                             "private part");
  }
  const absl::Status failed =
      status::Error(absl::StatusCode::kInternal, kNoSigningKey,
                    "OpenSSL could not sign with key '" + kid_ + "'; replace the key");
  if (algorithm_ == Algorithm::kHs256) {
    std::string mac = Mac(*mac_, signing_input);
    if (mac.empty()) return failed;
    return mac;
  }
  MdCtxPtr context(EVP_MD_CTX_new());
  size_t size = 0;
  if (!context ||
      EVP_DigestSignInit(context.get(), nullptr, DigestOf(algorithm_), nullptr, pkey_.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, Bytes(signing_input), signing_input.size()) !=
          1) {
    return failed;
  }
  std::string signature(size, '\0');
  if (EVP_DigestSign(context.get(), Bytes(signature), &size, Bytes(signing_input),
                     signing_input.size()) != 1) {
    return failed;
  }
  signature.resize(size);
  if (algorithm_ == Algorithm::kEs256) {
    signature = RawFromDer(signature);
    if (signature.empty()) return failed;
  }
  return signature;
}

}  // namespace slipstream::auth
