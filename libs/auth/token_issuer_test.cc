#include "libs/auth/token_issuer.h"

#include <gtest/gtest.h>

#include "libs/auth/reasons.h"
#include "libs/auth/rfc_vectors.h"
#include "libs/auth/token_verifier.h"
#include "libs/clock/fake_clock.h"
#include "libs/status/status.h"

namespace slipstream::auth {
namespace {

TEST(TokenIssuerTest, WhatItIssuesVerifiesWithEveryAlgorithm) {
  clock::FakeClock clock;
  for (const auto jwk :
       {rfc::kHs256Jwk, rfc::kRs256PrivateJwk, rfc::kEs256PrivateJwk, rfc::kEdDsaPrivateJwk}) {
    const auto keys = *KeySet::FromText(jwk);
    const TokenIssuer issuer({}, *keys, clock);
    const auto token = issuer.Issue({.user = "J\xc3\xbcrgen \"x\"",
                                     .roles = {"user", "admin"},
                                     .tenant = "acme",
                                     .token_id = "t-1",
                                     .lifetime = absl::Minutes(5)});
    ASSERT_TRUE(token.ok()) << token.status();
    const auto principal = TokenVerifier({}, clock).Verify(*token, *keys->Current());
    ASSERT_TRUE(principal.ok()) << principal.status();
    EXPECT_EQ((*principal)->user, "J\xc3\xbcrgen \"x\"");
    EXPECT_EQ((*principal)->tenant, "acme");
    EXPECT_EQ((*principal)->token_id, "t-1");
    EXPECT_TRUE((*principal)->HasRole("admin"));
    EXPECT_FALSE((*principal)->HasRole("service"));
    EXPECT_EQ((*principal)->expires_at, clock.Now() + absl::Minutes(5));
    EXPECT_EQ((*principal)->acting_service, "");
  }
}

TEST(TokenIssuerTest, RefusesWhatNoVerifierWouldTake) {
  clock::FakeClock clock;
  const auto keys = *KeySet::FromText(rfc::kHs256Jwk);
  const TokenIssuer issuer({}, *keys, clock);
  for (const TokenRequest& request :
       {TokenRequest{.user = ""}, TokenRequest{.user = "a\nb"}, TokenRequest{.user = "\xff"},
        TokenRequest{.user = "a", .roles = {""}},
        TokenRequest{.user = "a", .roles = std::vector<std::string>(17, "user")},
        TokenRequest{.user = "a", .tenant = std::string(129, 't')},
        TokenRequest{.user = "a", .lifetime = absl::ZeroDuration()},
        TokenRequest{.user = "a", .lifetime = absl::InfiniteDuration()}}) {
    EXPECT_EQ(issuer.Issue(request).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(TokenIssuerTest, NeedsAKeyThatSigns) {
  clock::FakeClock clock;
  const auto keys = *KeySet::FromText(rfc::kEs256PublicJwk);
  const auto token = TokenIssuer({}, *keys, clock).Issue({.user = "a"});
  EXPECT_EQ(status::Reason(token.status()), kNoSigningKey);
  const auto named = *KeySet::FromText(rfc::kHs256Jwk);
  EXPECT_FALSE(TokenIssuer({.kid = "other"}, *named, clock).Issue({.user = "a"}).ok());
}

TEST(IssuedTokenTest, IsRenewedAtHalfItsLife) {
  clock::FakeClock clock;
  const auto keys = *KeySet::FromText(rfc::kHs256Jwk);
  const TokenIssuer issuer({}, *keys, clock);
  IssuedToken token({.user = "worker", .roles = {"service"}, .lifetime = absl::Hours(1)}, issuer,
                    *keys, clock);
  const std::string first = *token.Get();
  clock.Advance(absl::Minutes(30) - absl::Seconds(1));
  EXPECT_EQ(*token.Get(), first);
  clock.Advance(absl::Seconds(1));
  const std::string second = *token.Get();
  EXPECT_NE(second, first);
  clock.JumpWallClock(-absl::Hours(5));
  EXPECT_EQ(*token.Get(), second);
  clock.Advance(absl::Minutes(30));
  EXPECT_NE(*token.Get(), second) << "the wall clock was set back, but half an hour has passed";
}

}  // namespace
}  // namespace slipstream::auth
