#include "libs/auth/recent_tokens.h"

#include <string>
#include <thread>

#include "gtest/gtest.h"

namespace slipstream::auth {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

std::shared_ptr<const Principal> Until(absl::Time end) {
  auto out = std::make_shared<Principal>();
  out->user = "alice";
  out->expires_at = end;
  return out;
}

class RecentTokensTest : public testing::Test {
 protected:
  RecentTokens tokens_;
  const std::string token_ = "header.payload.signature-of-the-token";
  const std::shared_ptr<const Principal> alice_ = Until(kNow + absl::Minutes(1));
};

TEST_F(RecentTokensTest, ServesWhatWasKept) {
  EXPECT_EQ(tokens_.Find(token_, 1, kNow), nullptr);
  tokens_.Keep(token_, 1, alice_);
  EXPECT_EQ(tokens_.Find(token_, 1, kNow), alice_);
  EXPECT_EQ(tokens_.hits_total(), 1u);
}

TEST_F(RecentTokensTest, EveryByteOfTheTokenCounts) {
  tokens_.Keep(token_, 1, alice_);
  for (size_t i = 0; i < token_.size(); ++i) {
    std::string other = token_;
    other[i] = static_cast<char>(other[i] ^ 1);
    EXPECT_EQ(tokens_.Find(other, 1, kNow), nullptr) << "byte " << i;
  }
  // The same end, and longer or shorter.
  EXPECT_EQ(tokens_.Find("x" + token_, 1, kNow), nullptr);
  EXPECT_EQ(tokens_.Find(token_.substr(1), 1, kNow), nullptr);
  EXPECT_EQ(tokens_.Find(token_.substr(token_.size() - 8), 1, kNow), nullptr);
}

TEST_F(RecentTokensTest, EndsWithTheTokenAndWithTheKeys) {
  tokens_.Keep(token_, 1, alice_);
  EXPECT_NE(tokens_.Find(token_, 1, alice_->expires_at - absl::Nanoseconds(1)), nullptr);
  EXPECT_EQ(tokens_.Find(token_, 1, alice_->expires_at), nullptr) << "no leeway after exp";
  EXPECT_EQ(tokens_.Find(token_, 2, kNow), nullptr) << "other keys are in force";
}

TEST_F(RecentTokensTest, KnowsNothingOfOtherInstancesAndThreads) {
  tokens_.Keep(token_, 1, alice_);
  RecentTokens other;
  EXPECT_EQ(other.Find(token_, 1, kNow), nullptr);
  std::thread([&] { EXPECT_EQ(tokens_.Find(token_, 1, kNow), nullptr); }).join();
}

TEST_F(RecentTokensTest, LongTokensAreNotKept) {
  const std::string limit(RecentTokens::kMaxTokenBytes, 'a');
  tokens_.Keep(limit, 1, alice_);
  EXPECT_NE(tokens_.Find(limit, 1, kNow), nullptr);
  tokens_.Keep(limit + "a", 1, alice_);
  EXPECT_EQ(tokens_.Find(limit + "a", 1, kNow), nullptr);
}

}  // namespace
}  // namespace slipstream::auth
