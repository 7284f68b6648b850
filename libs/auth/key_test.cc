#include "libs/auth/key.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "libs/auth/base64url.h"
#include "libs/auth/jwk.h"
#include "libs/auth/rfc_vectors.h"

namespace slipstream::auth {
namespace {

using nlohmann::json;

Key Only(std::string_view jwk) {
  auto keys = ParseJwkSet(jwk);
  EXPECT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->size(), 1u);
  return keys->front();
}

std::string Join(std::string_view header, std::string_view payload) {
  return std::string(header) + "." + std::string(payload);
}

struct Vector {
  const char* name;
  std::string_view verify_jwk, sign_jwk, header, payload, signature;
  bool deterministic;
};

const Vector kVectors[] = {
    {"HS256", rfc::kHs256Jwk, rfc::kHs256Jwk, rfc::kHs256Header, rfc::kJoePayload,
     rfc::kHs256Signature, true},
    {"RS256", rfc::kRs256PublicJwk, rfc::kRs256PrivateJwk, rfc::kRs256Header, rfc::kJoePayload,
     rfc::kRs256Signature, true},
    {"ES256", rfc::kEs256PublicJwk, rfc::kEs256PrivateJwk, rfc::kEs256Header, rfc::kJoePayload,
     rfc::kEs256Signature, false},
    {"EdDSA", rfc::kEdDsaPublicJwk, rfc::kEdDsaPrivateJwk, rfc::kEdDsaHeader, rfc::kEdDsaPayload,
     rfc::kEdDsaSignature, true},
};

TEST(KeyTest, VerifiesAndMakesTheSignaturesOfTheRfcs) {
  for (const Vector& vector : kVectors) {
    SCOPED_TRACE(vector.name);
    const Key verifier = Only(vector.verify_jwk);
    const Key signer = Only(vector.sign_jwk);
    EXPECT_EQ(AlgorithmName(verifier.algorithm()), vector.name);
    const std::string input = Join(vector.header, vector.payload);
    const auto printed = Base64UrlDecode(vector.signature);
    ASSERT_TRUE(printed);
    EXPECT_TRUE(verifier.Verify(input, *printed));
    EXPECT_FALSE(verifier.Verify(input + "x", *printed));
    const auto made = signer.Sign(input);
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_TRUE(verifier.Verify(input, *made));
    if (vector.deterministic) EXPECT_EQ(Base64UrlEncode(*made), vector.signature);
  }
}

TEST(KeyTest, EveryFlippedBitAndCutOfASignatureIsRefused) {
  for (const Vector& vector : kVectors) {
    SCOPED_TRACE(vector.name);
    const Key verifier = Only(vector.verify_jwk);
    const std::string input = Join(vector.header, vector.payload);
    const std::string good = *Base64UrlDecode(vector.signature);
    for (size_t i = 0; i < good.size(); ++i) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
      EXPECT_FALSE(verifier.Verify(input, bad)) << i;
      EXPECT_FALSE(verifier.Verify(input, good.substr(0, i))) << i;
    }
    EXPECT_FALSE(verifier.Verify(input, good + '\0'));
  }
  EXPECT_EQ(ERR_peek_error(), 0u) << "nothing is left for gRPC or curl to trip over";
}

TEST(KeyTest, Es256SignaturesAreRawAndNeverDer) {
  const Key signer = Only(rfc::kEs256PrivateJwk);
  for (int i = 0; i < 64; ++i) {  // leading zero bytes of r and s must stay
    const auto signature = signer.Sign("message " + std::to_string(i));
    ASSERT_TRUE(signature.ok());
    EXPECT_EQ(signature->size(), 64u);
  }
  const std::string input = Join(rfc::kEs256Header, rfc::kJoePayload);
  const std::string raw = *Base64UrlDecode(rfc::kEs256Signature);
  // The same r and s as DER: 30 len 02 20 r 02 21 00 s (s has its top bit set in this example).
  ASSERT_LT(static_cast<unsigned char>(raw[0]), 0x80);
  ASSERT_GE(static_cast<unsigned char>(raw[32]), 0x80);
  const std::string der = std::string("\x30\x45\x02\x20", 4) + raw.substr(0, 32) +
                          std::string("\x02\x21\x00", 3) + raw.substr(32);
  EXPECT_FALSE(signer.Verify(input, der));
  EXPECT_FALSE(signer.Verify(input, std::string(64, '\0')));  // r = s = 0 ("psychic signature")
}

TEST(KeyTest, PublicKeysDoNotSign) {
  for (const auto jwk : {rfc::kRs256PublicJwk, rfc::kEs256PublicJwk, rfc::kEdDsaPublicJwk}) {
    const Key key = Only(jwk);
    EXPECT_FALSE(key.can_sign());
    EXPECT_EQ(key.Sign("x").status().code(), absl::StatusCode::kFailedPrecondition);
  }
}

TEST(KeyTest, OneKeyServesManyThreads) {
  for (const Vector& vector : kVectors) {
    const Key key = Only(vector.sign_jwk);
    const std::string input = Join(vector.header, vector.payload);
    const std::string good = *Base64UrlDecode(vector.signature);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 50; ++i) {
          EXPECT_TRUE(key.Verify(input, good));
          EXPECT_TRUE(key.Sign(input).ok());
        }
      });
    }
    for (auto& thread : threads) thread.join();
  }
}

TEST(KeyTest, AlgorithmNamesAreExact) {
  EXPECT_EQ(AlgorithmFromName("HS256"), Algorithm::kHs256);
  EXPECT_EQ(AlgorithmFromName("EdDSA"), Algorithm::kEdDsa);
  for (const char* name : {"none", "None", "NONE", "nOnE", "", "hs256", "HS384", "RS512", "PS256",
                           "ES384", "EDDSA", "HS256 "}) {
    EXPECT_EQ(AlgorithmFromName(name), std::nullopt) << name;
  }
}

std::string With(std::string_view jwk, const json& changes) {
  json changed = json::parse(jwk);
  changed.update(changes);
  return changed.dump();
}

TEST(JwkTest, DamagedKeysRefuseTheSet) {
  const std::string other_d = Base64UrlEncode(std::string(32, 7));
  for (const std::string& text : {
           std::string(""),
           std::string("[]"),
           std::string("{}"),
           std::string(R"({"keys":{}})"),
           std::string(R"({"keys":[]})"),
           std::string(R"({"keys":[1]})"),
           std::string("<html>404</html> and much more text, longer than a secret"),
           With(rfc::kHs256Jwk, {{"k", "AAAA"}}),
           With(rfc::kHs256Jwk, {{"k", 5}}),
           With(rfc::kHs256Jwk, {{"kid", 5}}),
           With(rfc::kHs256Jwk, {{"kid", ""}}),
           With(rfc::kRs256PublicJwk, {{"e", "AQ"}}),
           With(rfc::kRs256PublicJwk, {{"e", "AQAA"}}),
           With(rfc::kRs256PublicJwk, {{"n", Base64UrlEncode(std::string(128, '\xff'))}}),
           With(rfc::kRs256PublicJwk, {{"n", Base64UrlEncode(std::string(1025, '\xff'))}}),
           With(rfc::kRs256PrivateJwk, {{"d", Base64UrlEncode(std::string(255, 3))}}),
           With(rfc::kRs256PrivateJwk, {{"p", nullptr}}),
           With(rfc::kEs256PublicJwk, {{"x", Base64UrlEncode(std::string(32, 1))}}),
           With(rfc::kEs256PublicJwk, {{"y", "AA"}}),
           With(rfc::kEs256PrivateJwk, {{"d", other_d}}),
           With(rfc::kEdDsaPublicJwk, {{"x", Base64UrlEncode(std::string(31, 1))}}),
           With(rfc::kEdDsaPrivateJwk, {{"d", other_d}}),
           // nothing usable is left:
           With(rfc::kRs256PublicJwk, {{"alg", "HS256"}}),
           With(rfc::kHs256Jwk, {{"alg", "RS256"}}),
           With(rfc::kRs256PublicJwk, {{"use", "enc"}}),
           With(rfc::kRs256PublicJwk, {{"key_ops", {"encrypt"}}}),
           With(rfc::kEs256PublicJwk, {{"crv", "P-384"}}),
           With(rfc::kEdDsaPublicJwk, {{"crv", "X25519"}}),
       }) {
    EXPECT_EQ(ParseJwkSet(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(JwkTest, MessagesNeverShowKeyMaterial) {
  const std::string secret = "c2VjcmV0LXNlY3JldA";
  const auto keys = ParseJwkSet(With(rfc::kHs256Jwk, {{"k", secret}, {"kid", "one"}}));
  ASSERT_FALSE(keys.ok());
  EXPECT_EQ(keys.status().ToString().find(secret), std::string::npos);
}

TEST(JwkTest, SkipsForeignKeysAndRefusesRepeatedIds) {
  const json hmac = json::parse(With(rfc::kHs256Jwk, {{"kid", "a"}}));
  const json ec = json::parse(With(rfc::kEs256PublicJwk, {{"kid", "b"}}));
  const json foreign = {{"kty", "EC"}, {"crv", "secp256k1"}, {"kid", "a"}};
  const auto keys = ParseJwkSet(json{{"keys", {hmac, foreign, ec}}}.dump());
  ASSERT_TRUE(keys.ok()) << keys.status();
  ASSERT_EQ(keys->size(), 2u);
  EXPECT_EQ((*keys)[1].kid(), "b");
  EXPECT_FALSE(ParseJwkSet(json{{"keys", {hmac, hmac}}}.dump()).ok());
  json many = json::array();
  for (int i = 0; i < 17; ++i) many.push_back(json::parse(rfc::kHs256Jwk));
  EXPECT_FALSE(ParseJwkSet(json{{"keys", many}}.dump()).ok());
}

TEST(JwkTest, RawSecretsLoseOneLineBreakAndPemIsRefused) {
  const std::string secret(32, 's');
  const auto plain = ParseSecretOrJwkSet(secret);
  const auto line = ParseSecretOrJwkSet(secret + "\r\n");
  ASSERT_TRUE(plain.ok() && line.ok());
  EXPECT_TRUE((*line)[0].Verify("x", *(*plain)[0].Sign("x")));
  EXPECT_FALSE(ParseSecretOrJwkSet(std::string(31, 's') + "\n").ok());
  EXPECT_FALSE(ParseSecretOrJwkSet("").ok());
  EXPECT_FALSE(ParseSecretOrJwkSet("\n-----BEGIN PUBLIC KEY-----\n" + std::string(64, 'A')).ok());
  EXPECT_TRUE(ParseSecretOrJwkSet(rfc::kHs256Jwk).ok());
}

}  // namespace
}  // namespace slipstream::auth
