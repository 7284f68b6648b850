#include "libs/auth/authenticator.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "libs/auth/reasons.h"
#include "libs/auth/token_issuer.h"
#include "libs/clock/fake_clock.h"
#include "libs/status/status.h"

namespace slipstream::auth {
namespace {

class AuthenticatorTest : public testing::Test {
 protected:
  AuthenticatorTest() {
    path_ = testing::TempDir() + "/" +
            testing::UnitTest::GetInstance()->current_test_info()->name() + ".secret";
    WriteSecret('a');
    KeySetOptions options;
    options.secret_path = path_;
    keys_ = *KeySet::Open(options, clock_);
    permissions_ = std::make_unique<PermissionMap>(*PermissionMap::Create());
    issuer_ = std::make_unique<TokenIssuer>(TokenIssuerOptions{}, *keys_, clock_);
    authenticator_ =
        std::make_unique<Authenticator>(AuthenticatorOptions{}, *keys_, *permissions_, clock_);
  }

  void WriteSecret(char c) {
    std::ofstream(path_ + ".new") << std::string(32, c);
    std::rename((path_ + ".new").c_str(), path_.c_str());
  }
  std::string Bearer(const TokenRequest& request) { return "Bearer " + *issuer_->Issue(request); }
  std::string ReasonOf(std::string_view authorization, std::string_view user = "",
                       std::string_view tenant = "") {
    return status::Reason(authenticator_->Authenticate(authorization, user, tenant).status());
  }

  clock::FakeClock clock_;
  std::string path_;
  std::unique_ptr<KeySet> keys_;
  std::unique_ptr<PermissionMap> permissions_;
  std::unique_ptr<TokenIssuer> issuer_;
  std::unique_ptr<Authenticator> authenticator_;
};

TEST_F(AuthenticatorTest, TheSecondCallIsServedFromTheCache) {
  const std::string header = Bearer({.user = "alice"});
  const auto first = authenticator_->Authenticate(header);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = authenticator_->Authenticate(header);
  EXPECT_EQ(first->get(), second->get()) << "the same object, not a copy";
  EXPECT_EQ(authenticator_->CacheStats().hits_total, 1u);
}

TEST_F(AuthenticatorTest, TheHeaderMustBeABearerToken) {
  const std::string token = *issuer_->Issue({.user = "alice"});
  EXPECT_EQ(ReasonOf(""), kTokenMissing);
  EXPECT_EQ(ReasonOf("Bearer "), kTokenMissing);
  EXPECT_EQ(ReasonOf("Bearer    "), kTokenMissing);
  EXPECT_EQ(ReasonOf("Bearer"), kTokenMalformed);
  EXPECT_EQ(ReasonOf("Basic YTpi"), kTokenMalformed);
  EXPECT_EQ(ReasonOf(token), kTokenMalformed);
  EXPECT_EQ(ReasonOf("Bearer " + token + " "), kTokenMalformed);
  EXPECT_EQ(ReasonOf("Bearer " + token + ", Bearer " + token), kTokenMalformed);
  EXPECT_EQ(ReasonOf("Bearer " + std::string(1'000'000, 'x')), kTokenMalformed);
  EXPECT_TRUE(authenticator_->Authenticate("bEARER  " + token).ok());
  EXPECT_TRUE(authenticator_->AuthenticateToken(token).ok());
}

TEST_F(AuthenticatorTest, ChangedKeysEmptyTheCache) {
  const std::string header = Bearer({.user = "alice"});
  ASSERT_TRUE(authenticator_->Authenticate(header).ok());
  WriteSecret('b');
  EXPECT_TRUE(authenticator_->Authenticate(header).ok()) << "not looked at within the second";
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(ReasonOf(header), kTokenBadSignature);
  EXPECT_TRUE(authenticator_->Authenticate(Bearer({.user = "alice"})).ok());
  WriteSecret('x');
  std::ofstream(path_) << "short";  // a bad file keeps the keys, and with them the cache
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(authenticator_->Authenticate(Bearer({.user = "alice"})).ok());
}

TEST_F(AuthenticatorTest, ACachedTokenExpiresLikeAnyOther) {
  const std::string header = Bearer({.user = "alice", .lifetime = absl::Minutes(1)});
  ASSERT_TRUE(authenticator_->Authenticate(header).ok());
  clock_.Advance(absl::Seconds(119));
  EXPECT_TRUE(authenticator_->Authenticate(header).ok()) << "within the leeway";
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(ReasonOf(header), kTokenExpired);
}

// The third call of a thread is answered from what the thread saw last.
TEST_F(AuthenticatorTest, ATokenSeenOftenStillEndsWithItsKeyAndItsTime) {
  const std::string header = Bearer({.user = "alice", .lifetime = absl::Minutes(1)});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(authenticator_->Authenticate(header).ok());
  EXPECT_EQ(authenticator_->CacheStats().hits_total, 3u);
  clock_.Advance(absl::Seconds(120));
  EXPECT_EQ(ReasonOf(header), kTokenExpired);
  const std::string other = Bearer({.user = "alice"});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(authenticator_->Authenticate(other).ok());
  WriteSecret('b');
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(ReasonOf(other), kTokenBadSignature);
}

TEST_F(AuthenticatorTest, AServiceActsForAUser) {
  const std::string header = Bearer({.user = "worker-1", .roles = {"service"}});
  const auto acting = authenticator_->Authenticate(header, "alice", "acme");
  ASSERT_TRUE(acting.ok()) << acting.status();
  EXPECT_EQ((*acting)->user, "alice");
  EXPECT_EQ((*acting)->tenant, "acme");
  EXPECT_EQ((*acting)->roles, std::vector<std::string>{"user"});
  EXPECT_EQ((*acting)->acting_service, "worker-1");
  EXPECT_EQ((*acting)->expires_at, clock_.Now() + absl::Hours(1));
  const auto itself = authenticator_->Authenticate(header);
  EXPECT_EQ((*itself)->user, "worker-1") << "the cache holds the service, not the user";
  EXPECT_TRUE((*itself)->HasRole("service"));
}

TEST_F(AuthenticatorTest, NobodyElseActsForAnybody) {
  for (const char* role : {"user", "tenant_admin", "admin", "other"}) {
    const std::string header = Bearer({.user = "mallory", .roles = {role}});
    EXPECT_EQ(ReasonOf(header, "alice"), kActAsRefused) << role;
    EXPECT_EQ(ReasonOf(header, "mallory"), kActAsRefused) << role;
    EXPECT_EQ(ReasonOf(header, "", "acme"), kActAsRefused) << role;
    EXPECT_EQ(authenticator_->Authenticate(header, "alice").status().code(),
              absl::StatusCode::kPermissionDenied);
  }
}

TEST_F(AuthenticatorTest, ActingIsBounded) {
  const std::string header = Bearer({.user = "worker-1", .roles = {"service"}});
  EXPECT_EQ(ReasonOf(header, "", "acme"), kActAsRefused) << "a tenant without a user";
  EXPECT_EQ(ReasonOf(header, std::string(129, 'a')), kActAsRefused);
  EXPECT_EQ(ReasonOf(header, "a\nb"), kActAsRefused);
  EXPECT_EQ(ReasonOf(header, "alice", "a\tb"), kActAsRefused);
  const std::string bound = Bearer({.user = "worker-1", .roles = {"service"}, .tenant = "acme"});
  EXPECT_EQ(ReasonOf(bound, "alice", "other"), kActAsRefused);
  EXPECT_EQ((*authenticator_->Authenticate(bound, "alice"))->tenant, "acme");
  EXPECT_EQ(ReasonOf("", "alice"), kTokenMissing) << "the token comes first";
}

TEST_F(AuthenticatorTest, ManyThreadsWhileKeysChange) {
  const std::string header = Bearer({.user = "alice"});
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        const auto principal = authenticator_->Authenticate(header);
        if (principal.ok()) EXPECT_EQ((*principal)->user, "alice");
      }
    });
  }
  for (int i = 0; i < 20; ++i) {
    WriteSecret(i % 2 == 0 ? 'b' : 'a');
    clock_.Advance(absl::Seconds(1));
    keys_->RefreshIfDue();
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace slipstream::auth
