#include "libs/auth/jwk.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "libs/auth/base64url.h"
#include "libs/auth/claim_text.h"
#include "libs/auth/openssl_ptr.h"
#include "libs/auth/reasons.h"
#include "libs/auth/strict_json.h"
#include "libs/status/status.h"

namespace slipstream::auth {
namespace {

using nlohmann::json;

constexpr size_t kCoordinateBytes = 32;  // P-256 and Ed25519 alike
constexpr int kMinRsaBits = 2048;
constexpr int kMaxRsaBits = 8192;  // bounds the cost of one verification
constexpr size_t kMaxRsaExponentBytes = 4;

absl::Status Invalid(const std::string& message) {
  return status::Error(absl::StatusCode::kInvalidArgument, kKeyFileInvalid, message);
}

const uint8_t* Bytes(const std::string& text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

// The decoded base64url member; nothing when absent, empty or badly written.
std::optional<std::string> Binary(const json& jwk, const char* name) {
  const auto text = StringMember(jwk, name);
  if (!text) return std::nullopt;
  auto bytes = Base64UrlDecode(*text);
  if (!bytes || bytes->empty()) return std::nullopt;
  return bytes;
}

std::optional<std::string> Coordinate(const json& jwk, const char* name) {
  auto bytes = Binary(jwk, name);
  if (!bytes || bytes->size() != kCoordinateBytes) return std::nullopt;
  return bytes;
}

// Collects EVP parameters; owns what they point to until the key is made (OpenSSL's builder only
// borrows).
class PkeyBuilder {
 public:
  PkeyBuilder() : builder_(OSSL_PARAM_BLD_new()) {}

  void Number(const char* name, const std::string& big_endian) {
    numbers_.emplace_back(
        BN_bin2bn(Bytes(big_endian), static_cast<int>(big_endian.size()), nullptr));
    ok_ = ok_ && OSSL_PARAM_BLD_push_BN(builder_.get(), name, numbers_.back().get()) == 1;
  }
  void Text(const char* name, const char* text) {
    ok_ = ok_ && OSSL_PARAM_BLD_push_utf8_string(builder_.get(), name, text, 0) == 1;
  }
  void Octets(const char* name, std::string octets) {
    octets_ = std::move(octets);
    ok_ = ok_ && OSSL_PARAM_BLD_push_octet_string(builder_.get(), name, octets_.data(),
                                                  octets_.size()) == 1;
  }

  // Null when OpenSSL does not take the numbers, or a check of the key fails.
  PkeyPtr Build(const char* type, bool with_private) {
    if (!ok_) return nullptr;
    const ParamsPtr params(OSSL_PARAM_BLD_to_param(builder_.get()));
    const PkeyCtxPtr context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
    EVP_PKEY* made = nullptr;
    const int selection = with_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
    if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &made, selection, params.get()) != 1) {
      return nullptr;
    }
    PkeyPtr key(made);
    const PkeyCtxPtr check(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
    if (!check || EVP_PKEY_public_check(check.get()) != 1 ||
        (with_private && EVP_PKEY_pairwise_check(check.get()) != 1)) {
      return nullptr;
    }
    return key;
  }

 private:
  ParamBuilderPtr builder_;
  std::vector<BignumPtr> numbers_;
  std::string octets_;  // one parameter at most is of this kind
  bool ok_ = true;
};

// Each of these: null when a member is missing or wrong.
PkeyPtr RsaKey(const json& jwk, bool with_private) {
  const auto n = Binary(jwk, "n");
  const auto e = Binary(jwk, "e");
  if (!n || !e || e->size() > kMaxRsaExponentBytes || n->size() > kMaxRsaBits / 8 ||
      (e->back() & 1) == 0 || (e->size() == 1 && (*e)[0] < 3)) {
    return nullptr;
  }
  PkeyBuilder builder;
  builder.Number(OSSL_PKEY_PARAM_RSA_N, *n);
  builder.Number(OSSL_PKEY_PARAM_RSA_E, *e);
  if (with_private) {
    const auto d = Binary(jwk, "d");
    if (!d || jwk.contains("oth")) return nullptr;
    builder.Number(OSSL_PKEY_PARAM_RSA_D, *d);
    // The factors only speed signing up; they come all five or not at all (RFC 7518 section 6.3.2).
    constexpr std::pair<const char*, const char*> kFactors[] = {
        {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
        {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},
        {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
        {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2},
        {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1}};
    const bool any = std::any_of(std::begin(kFactors), std::end(kFactors),
                                 [&](const auto& factor) { return jwk.contains(factor.first); });
    for (const auto& [member, parameter] : kFactors) {
      if (!any) break;
      const auto factor = Binary(jwk, member);
      if (!factor) return nullptr;
      builder.Number(parameter, *factor);
    }
  }
  PkeyPtr key = builder.Build("RSA", with_private);
  if (key && EVP_PKEY_get_bits(key.get()) < kMinRsaBits) return nullptr;
  return key;
}

PkeyPtr P256Key(const json& jwk, bool with_private) {
  const auto x = Coordinate(jwk, "x");
  const auto y = Coordinate(jwk, "y");
  if (!x || !y) return nullptr;
  PkeyBuilder builder;
  builder.Text(OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1");
  builder.Octets(OSSL_PKEY_PARAM_PUB_KEY, "\x04" + *x + *y);
  if (with_private) {
    const auto d = Coordinate(jwk, "d");
    if (!d) return nullptr;
    builder.Number(OSSL_PKEY_PARAM_PRIV_KEY, *d);
  }
  return builder.Build("EC", with_private);
}

PkeyPtr Ed25519Key(const json& jwk, bool with_private) {
  const auto x = Coordinate(jwk, "x");
  if (!x) return nullptr;
  if (!with_private) {
    return PkeyPtr(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, Bytes(*x), x->size()));
  }
  const auto d = Coordinate(jwk, "d");
  if (!d) return nullptr;
  PkeyPtr key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, Bytes(*d), d->size()));
  uint8_t derived[kCoordinateBytes];
  size_t size = sizeof(derived);
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), derived, &size) != 1 || size != x->size() ||
      CRYPTO_memcmp(derived, x->data(), size) != 0) {
    return nullptr;
  }
  return key;
}

// The one algorithm that the key's kind allows; nothing when we have no use for it.
std::optional<Algorithm> AlgorithmOf(const json& jwk) {
  const std::string kty = StringMember(jwk, "kty").value_or("");
  const std::string crv = StringMember(jwk, "crv").value_or("");
  std::optional<Algorithm> algorithm;
  if (kty == "oct") algorithm = Algorithm::kHs256;
  if (kty == "RSA") algorithm = Algorithm::kRs256;
  if (kty == "EC" && crv == "P-256") algorithm = Algorithm::kEs256;
  if (kty == "OKP" && crv == "Ed25519") algorithm = Algorithm::kEdDsa;
  if (!algorithm) return std::nullopt;
  if (jwk.contains("alg") && StringMember(jwk, "alg") != AlgorithmName(*algorithm)) {
    return std::nullopt;
  }
  if (jwk.contains("use") && StringMember(jwk, "use") != "sig") return std::nullopt;
  if (const auto ops = jwk.find("key_ops"); ops != jwk.end()) {
    const auto has = [&](const char* op) {
      return ops->is_array() && std::find(ops->begin(), ops->end(), op) != ops->end();
    };
    if (!has("verify") && !has("sign")) return std::nullopt;
  }
  return algorithm;
}

// `place` names the key in messages.
absl::StatusOr<Key> KeyFromJwk(const json& jwk, Algorithm algorithm, const std::string& place) {
  std::string kid;
  if (jwk.contains("kid")) {
    kid = StringMember(jwk, "kid").value_or("");
    if (!IsClaimText(kid, kMaxKeyIdBytes)) {
      return Invalid(place + ": `kid` must be a string of 1-128 bytes without control characters");
    }
  }
  if (algorithm == Algorithm::kHs256) {
    auto secret = Binary(jwk, "k");
    if (!secret) return Invalid(place + ": `k` must be unpadded base64url");
    auto key = Key::FromSecret(std::move(kid), *secret);
    OPENSSL_cleanse(secret->data(), secret->size());
    if (!key.ok()) return Invalid(place + ": " + std::string(key.status().message()));
    return key;
  }
  const bool with_private = jwk.contains("d");
  PkeyPtr pkey;
  if (algorithm == Algorithm::kRs256) pkey = RsaKey(jwk, with_private);
  if (algorithm == Algorithm::kEs256) pkey = P256Key(jwk, with_private);
  if (algorithm == Algorithm::kEdDsa) pkey = Ed25519Key(jwk, with_private);
  if (!pkey) {
    return Invalid(place + " is not a usable " + std::string(AlgorithmName(algorithm)) +
                   " key: a member is missing, not unpadded base64url, of the wrong size, or the "
                   "numbers do not belong together (RSA needs 2048 to 8192 bits)");
  }
  return Key::FromEvp(algorithm, std::move(kid),
                      std::shared_ptr<EVP_PKEY>(pkey.release(), &EVP_PKEY_free), with_private);
}

absl::StatusOr<std::vector<Key>> ParseSet(const json& keys) {
  if (!keys.is_array() || keys.size() > kMaxKeyCount) {
    return Invalid("`keys` must be an array of at most 16 keys");
  }
  std::vector<Key> parsed;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!keys[i].is_object()) return Invalid("each entry of `keys` must be an object");
    const auto algorithm = AlgorithmOf(keys[i]);
    if (!algorithm) continue;
    auto key = KeyFromJwk(keys[i], *algorithm, "keys[" + std::to_string(i) + "]");
    if (!key.ok()) return key.status();
    const bool repeated = std::any_of(parsed.begin(), parsed.end(), [&](const Key& other) {
      return !key->kid().empty() && other.kid() == key->kid();
    });
    if (repeated) return Invalid("two keys have the `kid` '" + key->kid() + "'; rename one");
    parsed.push_back(*std::move(key));
  }
  if (parsed.empty()) {
    return Invalid(
        "no key is usable: give a key of HS256, RS256, ES256 (P-256) or EdDSA (Ed25519)");
  }
  return parsed;
}

}  // namespace

absl::StatusOr<std::vector<Key>> ParseJwkSet(std::string_view text) {
  const OpenSslErrorMark mark;
  const auto parsed = ParseStrictJsonObject(text);
  if (!parsed) {
    return Invalid("not a JWK Set: it must be well-formed JSON, with no member name twice");
  }
  if (const auto keys = parsed->find("keys"); keys != parsed->end()) return ParseSet(*keys);
  return ParseSet(json::array({*parsed}));
}

absl::StatusOr<std::vector<Key>> ParseSecretOrJwkSet(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return Invalid("it is empty");
  if (text[first] == '{') return ParseJwkSet(text);
  if (text.substr(first).starts_with("-----BEGIN")) {
    return Invalid("it is PEM; convert it to a JWK Set (a PEM is never taken as a secret)");
  }
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  auto key = Key::FromSecret("", text);
  if (!key.ok()) return key.status();
  std::vector<Key> keys;
  keys.push_back(*std::move(key));
  return keys;
}

}  // namespace slipstream::auth
