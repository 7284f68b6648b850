#include "libs/auth/token_verifier.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "libs/auth/base64url.h"
#include "libs/auth/claim_text.h"
#include "libs/auth/jwk.h"
#include "libs/auth/reasons.h"
#include "libs/auth/rfc_vectors.h"
#include "libs/clock/fake_clock.h"
#include "libs/status/status.h"

namespace slipstream::auth {
namespace {

using nlohmann::json;

Keys KeysOf(std::initializer_list<std::string_view> jwks) {
  json set = json::array();
  for (const auto jwk : jwks) set.push_back(json::parse(jwk));
  auto keys = ParseJwkSet(json{{"keys", set}}.dump());
  EXPECT_TRUE(keys.ok()) << keys.status();
  return {.generation = 1, .keys = *std::move(keys)};
}

std::string WithKid(std::string_view jwk, const std::string& kid) {
  json changed = json::parse(jwk);
  changed["kid"] = kid;
  return changed.dump();
}

class TokenVerifierTest : public testing::Test {
 protected:
  json Claims() const {
    return {{"sub", "alice"},
            {"roles", {"user"}},
            {"iss", "slipstream"},
            {"aud", "slipstream"},
            {"exp", absl::ToUnixSeconds(clock_.Now()) + 3600}};
  }
  json ClaimsWith(const char* name, const json& value) const {
    json claims = Claims();
    claims[name] = value;
    return claims;
  }
  json ClaimsWithout(const char* name) const {
    json claims = Claims();
    claims.erase(name);
    return claims;
  }

  static std::string SignText(std::string_view header, std::string_view claims, const Key& key) {
    const std::string input = Base64UrlEncode(header) + "." + Base64UrlEncode(claims);
    return input + "." + Base64UrlEncode(*key.Sign(input));
  }
  std::string Signed(const json& claims) const {
    return SignText(R"({"alg":"HS256","typ":"JWT"})", claims.dump(), hmac_.keys[0]);
  }

  // "" when accepted, else the reason; the code must be UNAUTHENTICATED.
  std::string Verdict(std::string_view token, const Keys& keys, TokenVerifierOptions options = {}) {
    const auto principal = TokenVerifier(options, clock_).Verify(token, keys);
    if (principal.ok()) return "";
    EXPECT_EQ(principal.status().code(), absl::StatusCode::kUnauthenticated);
    EXPECT_FALSE(principal.status().message().empty());
    return status::Reason(principal.status());
  }
  std::string Verdict(const json& claims) { return Verdict(Signed(claims), hmac_); }

  clock::FakeClock clock_;
  const Keys hmac_ = KeysOf({rfc::kHs256Jwk});
};

TEST_F(TokenVerifierTest, AGoodTokenNamesItsPrincipal) {
  json claims = Claims();
  claims["tenant"] = "acme";
  claims["jti"] = "id-7";
  claims["unknown"] = {{"nested", {1, 2}}};
  const auto principal = TokenVerifier({}, clock_).Verify(Signed(claims), hmac_);
  ASSERT_TRUE(principal.ok()) << principal.status();
  EXPECT_EQ((*principal)->user, "alice");
  EXPECT_EQ((*principal)->tenant, "acme");
  EXPECT_EQ((*principal)->roles, std::vector<std::string>{"user"});
  EXPECT_EQ((*principal)->token_id, "id-7");
  EXPECT_EQ((*principal)->expires_at, clock_.Now() + absl::Hours(1));
}

TEST_F(TokenVerifierTest, EveryFlippedBitAndEveryCutIsRefused) {
  const std::string good = Signed(Claims());
  ASSERT_EQ(Verdict(good, hmac_), "");
  for (size_t i = 0; i < good.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ (1 << bit));
      ASSERT_NE(Verdict(bad, hmac_), "") << "byte " << i << " bit " << bit;
    }
    ASSERT_NE(Verdict(good.substr(0, i), hmac_), "") << "cut at " << i;
    ASSERT_NE(Verdict(good.substr(i + 1), hmac_), "") << "cut before " << i;
  }
}

TEST_F(TokenVerifierTest, BrokenShapes) {
  const std::string good = Signed(Claims());
  const size_t dot = good.find('.');
  const size_t second_dot = good.rfind('.');
  EXPECT_EQ(Verdict("", hmac_), kTokenMissing);
  EXPECT_EQ(Verdict(good.substr(0, dot + 1) + good.substr(second_dot), hmac_), kTokenBadSignature)
      << "empty claims are not even looked at";
  for (const std::string& token :
       {std::string("."), std::string(".."), std::string("..."), std::string("a.b.c"), "." + good,
        good + ".", good + ".x", good + ".x.y", good + "=", good + "\n", " " + good, good + " ",
        good.substr(0, second_dot), good.substr(0, second_dot + 1), good.substr(dot),
        "Bearer " + good, std::string(kMaxTokenBytes, 'a'), std::string(10'000'000, '.'),
        std::string("\0.\0.\0", 5)}) {
    EXPECT_EQ(Verdict(token, hmac_), kTokenMalformed) << token.substr(0, 300);
  }
}

TEST_F(TokenVerifierTest, TheSizeBoundIsExact) {
  json claims = Claims();
  claims["pad"] = "";
  const auto grow = [&](size_t target) {
    while (Signed(claims).size() < target) {
      claims["pad"] = claims["pad"].get<std::string>() + "a";
    }
    return Signed(claims);
  };
  EXPECT_EQ(Verdict(grow(kMaxTokenBytes - 2), hmac_), "");
  EXPECT_EQ(Verdict(grow(kMaxTokenBytes + 1), hmac_), kTokenMalformed);
}

TEST_F(TokenVerifierTest, AlgorithmNoneIsRefusedInAnySpelling) {
  const std::string claims = Base64UrlEncode(Claims().dump());
  const std::string mac = Signed(Claims()).substr(Signed(Claims()).rfind('.') + 1);
  for (const char* name : {"none", "None", "NONE", "nOnE", "noNe", " none", "none ", ""}) {
    const std::string header = Base64UrlEncode(json{{"alg", name}}.dump());
    for (const std::string& signature : {std::string(), mac}) {
      EXPECT_EQ(Verdict(header + "." + claims + "." + signature, hmac_), kTokenAlgorithmRefused)
          << name;
    }
  }
}

TEST_F(TokenVerifierTest, AlgorithmsOffTheAllowListAreRefused) {
  TokenVerifierOptions options;
  options.algorithms = {Algorithm::kRs256};
  EXPECT_EQ(Verdict(Signed(Claims()), hmac_, options), kTokenAlgorithmRefused);
  for (const char* name : {"HS384", "hs256", "PS256", "RS1", "dir"}) {
    const std::string token = SignText(json{{"alg", name}}.dump(), Claims().dump(), hmac_.keys[0]);
    EXPECT_EQ(Verdict(token, hmac_), kTokenAlgorithmRefused) << name;
  }
}

TEST_F(TokenVerifierTest, APublicKeyIsNeverTheSecretOfAnHs256Token) {
  const Keys rsa = KeysOf({WithKid(rfc::kRs256PublicJwk, "rsa")});
  const std::string modulus =
      *Base64UrlDecode(json::parse(rfc::kRs256PublicJwk)["n"].get<std::string>());
  for (const std::string& secret : {std::string(rfc::kRs256PublicJwk), modulus}) {
    const Key forged = *Key::FromSecret("", secret);
    for (const char* header : {R"({"alg":"HS256"})", R"({"alg":"HS256","kid":"rsa"})"}) {
      EXPECT_EQ(Verdict(SignText(header, Claims().dump(), forged), rsa), kTokenAlgorithmRefused);
    }
  }
  // With an HMAC key beside it, the token must not be tried on the RSA key either.
  const Keys both = KeysOf({WithKid(rfc::kRs256PublicJwk, "rsa"), WithKid(rfc::kHs256Jwk, "hmac")});
  const Key forged = *Key::FromSecret("", rfc::kRs256PublicJwk);
  EXPECT_EQ(Verdict(SignText(R"({"alg":"HS256"})", Claims().dump(), forged), both),
            kTokenBadSignature);
  // And a key's own algorithm holds against the header, whichever way it is turned.
  const Keys ec = KeysOf({rfc::kEs256PrivateJwk});
  EXPECT_EQ(Verdict(SignText(R"({"alg":"RS256"})", Claims().dump(), ec.keys[0]), ec),
            kTokenAlgorithmRefused);
}

TEST_F(TokenVerifierTest, KeysOfferedByTheTokenAreIgnored) {
  const Keys theirs = KeysOf({rfc::kEs256PrivateJwk});
  const Keys ours = KeysOf({rfc::kEs256PublicJwk});
  ASSERT_EQ(Verdict(SignText(R"({"alg":"ES256"})", Claims().dump(), theirs.keys[0]), ours), "");
  json foreign = json::parse(rfc::kEdDsaPublicJwk);
  const json header = {{"alg", "EdDSA"}, {"jwk", foreign}, {"jku", "https://example.com/keys"}};
  const Keys forged = KeysOf({rfc::kEdDsaPrivateJwk});
  EXPECT_EQ(Verdict(SignText(header.dump(), Claims().dump(), forged.keys[0]), ours),
            kTokenAlgorithmRefused);
}

TEST_F(TokenVerifierTest, TheKidChoosesTheKey) {
  const std::string other = Base64UrlEncode(std::string(32, 'o'));
  const Keys keys = KeysOf(
      {WithKid(rfc::kHs256Jwk, "a"), json{{"kty", "oct"}, {"kid", "b"}, {"k", other}}.dump()});
  const auto token = [&](const char* kid, const Key& key) {
    json header = {{"alg", "HS256"}};
    if (kid != nullptr) header["kid"] = kid;
    return SignText(header.dump(), Claims().dump(), key);
  };
  EXPECT_EQ(Verdict(token("a", keys.keys[0]), keys), "");
  EXPECT_EQ(Verdict(token("b", keys.keys[1]), keys), "");
  EXPECT_EQ(Verdict(token("a", keys.keys[1]), keys), kTokenBadSignature);
  EXPECT_EQ(Verdict(token("c", keys.keys[0]), keys), kTokenBadSignature);
  EXPECT_EQ(Verdict(token(nullptr, keys.keys[1]), keys), "") << "no kid: every key is tried";
  EXPECT_EQ(Verdict(token("a", hmac_.keys[0]), hmac_), "") << "a raw secret has no kid to compare";
  EXPECT_EQ(Verdict(token("", keys.keys[0]), keys), kTokenMalformed);
  EXPECT_EQ(Verdict(token("a\n", keys.keys[0]), keys), kTokenMalformed);
  EXPECT_EQ(Verdict(Signed(Claims()), Keys()), kTokenBadSignature) << "no keys at all";
}

TEST_F(TokenVerifierTest, OddHeadersAndClaimsAreMalformed) {
  const std::string claims = Claims().dump();
  for (const char* header :
       {"", "{}", "[]", "null", R"({"alg":1})", R"({"alg":["HS256"]})", R"({"alg":"HS256"}x)",
        R"({"alg":"HS256","alg":"HS256"})", R"({"alg":"none","alg":"HS256"})",
        R"({"alg":"HS256","crit":["exp"],"exp":1})", R"({"alg":"HS256","crit":[]})",
        R"({"alg":"HS256","b64":false,"crit":["b64"]})", R"({"alg":"HS256","typ":"JWE"})",
        R"({"alg":"HS256","typ":1})", R"({"alg":"HS256","kid":1})", R"({"alg":"HS256","kid":null})",
        "\xef\xbb\xbf{\"alg\":\"HS256\"}", R"({'alg':'HS256'})"}) {
    EXPECT_EQ(Verdict(SignText(header, claims, hmac_.keys[0]), hmac_), kTokenMalformed) << header;
  }
  for (const char* type : {"JWT", "jwt", "at+jwt", "application/at+jwt"}) {
    const json header = {{"alg", "HS256"}, {"typ", type}};
    EXPECT_EQ(Verdict(SignText(header.dump(), claims, hmac_.keys[0]), hmac_), "") << type;
  }
  std::string twice = claims;
  twice.insert(1, R"("sub":"admin",)");
  for (const std::string& text : {std::string(""), std::string("[]"), std::string("\"alice\""),
                                  std::string("{}"), claims + claims, claims + " 1", twice}) {
    EXPECT_EQ(Verdict(SignText(R"({"alg":"HS256"})", text, hmac_.keys[0]), hmac_), kTokenMalformed)
        << text;
  }
}

TEST_F(TokenVerifierTest, TimesAreCheckedToTheSecondOfTheLeeway) {
  const int64_t now = absl::ToUnixSeconds(clock_.Now());
  EXPECT_EQ(Verdict(ClaimsWith("exp", now - 59)), "");
  EXPECT_EQ(Verdict(ClaimsWith("exp", now - 60)), kTokenExpired);
  EXPECT_EQ(Verdict(ClaimsWith("exp", now - 59.5)), "");
  EXPECT_EQ(Verdict(ClaimsWith("nbf", now + 60)), "");
  EXPECT_EQ(Verdict(ClaimsWith("nbf", now + 61)), kTokenNotYetValid);
  EXPECT_EQ(Verdict(ClaimsWith("iat", now + 60)), "");
  EXPECT_EQ(Verdict(ClaimsWith("iat", now + 61)), kTokenNotYetValid);

  const std::string token = Signed(ClaimsWith("exp", now + 10));
  clock_.Advance(absl::Seconds(70) - absl::Nanoseconds(1));
  EXPECT_EQ(Verdict(token, hmac_), "");
  clock_.Advance(absl::Nanoseconds(1));
  EXPECT_EQ(Verdict(token, hmac_), kTokenExpired);

  EXPECT_EQ(Verdict(ClaimsWithout("exp")), kTokenMalformed);
  for (const char* name : {"exp", "nbf", "iat"}) {
    for (const json& value : {json("1767229200"), json(nullptr), json(true), json(-1), json(1e300),
                              json(253402300800), json::array({1})}) {
      EXPECT_EQ(Verdict(ClaimsWith(name, value)), kTokenMalformed) << name << value;
    }
  }
}

TEST_F(TokenVerifierTest, IssuerAndAudience) {
  EXPECT_EQ(Verdict(ClaimsWithout("iss")), kTokenBadIssuer);
  for (const json& iss : {json("other"), json(""), json(1), json::array({"slipstream"}),
                          json("slipstream "), json("Slipstream")}) {
    EXPECT_EQ(Verdict(ClaimsWith("iss", iss)), kTokenBadIssuer) << iss;
  }
  EXPECT_EQ(Verdict(ClaimsWithout("aud")), kTokenBadAudience);
  EXPECT_EQ(Verdict(ClaimsWith("aud", {"x", "slipstream"})), "");
  for (const json& aud : {json("other"), json(""), json::array(), json::array({"x", "y"}),
                          json("slipstream,other")}) {
    EXPECT_EQ(Verdict(ClaimsWith("aud", aud)), kTokenBadAudience) << aud;
  }
  for (const json& aud : {json(1), json({{"slipstream", true}}), json::array({"slipstream", 1}),
                          json(std::vector<std::string>(17, "slipstream"))}) {
    EXPECT_EQ(Verdict(ClaimsWith("aud", aud)), kTokenMalformed) << aud;
  }
  TokenVerifierOptions open;
  open.issuer = "";
  open.audiences = {};
  json bare = ClaimsWithout("iss");
  bare.erase("aud");
  EXPECT_EQ(Verdict(Signed(bare), hmac_, open), "");
}

TEST_F(TokenVerifierTest, ClaimsAboutTheUserAreBounded) {
  EXPECT_EQ(Verdict(ClaimsWithout("sub")), kTokenMalformed);
  EXPECT_EQ(Verdict(ClaimsWith("sub", std::string(128, 'a'))), "");
  EXPECT_EQ(Verdict(ClaimsWithout("roles")), "");
  EXPECT_EQ(Verdict(ClaimsWith("roles", std::vector<std::string>(16, "user"))), "");
  const std::string nul("a\0b", 3);
  for (const char* name : {"sub", "tenant", "jti"}) {
    for (const json& value : {json(""), json(1), json(nullptr), json(std::string(129, 'a')),
                              json("a\nb"), json(nul), json::array({"alice"})}) {
      EXPECT_EQ(Verdict(ClaimsWith(name, value)), kTokenMalformed) << name << value;
    }
  }
  for (const json& roles :
       {json("admin"), json(nullptr), json::array({1}), json::array({""}), json({{"admin", true}}),
        json::array({json::array({"admin"})}), json(std::vector<std::string>(17, "user")),
        json::array({std::string(65, 'r')}), json::array({"admin\n"})}) {
    EXPECT_EQ(Verdict(ClaimsWith("roles", roles)), kTokenMalformed) << roles;
  }
}

TEST_F(TokenVerifierTest, MessagesDoNotRepeatTheToken) {
  const std::string token = Signed(ClaimsWith("sub", std::string(200, 'q')));
  const auto principal = TokenVerifier({}, clock_).Verify(token, hmac_);
  const std::string message(principal.status().message());
  EXPECT_EQ(message.find("qqqq"), std::string::npos);
  EXPECT_EQ(message.find(token.substr(0, 20)), std::string::npos);
}

}  // namespace
}  // namespace slipstream::auth
