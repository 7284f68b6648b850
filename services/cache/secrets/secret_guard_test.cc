#include "services/cache/secrets/secret_guard.h"

#include <set>

#include "gtest/gtest.h"
#include "services/cache/secrets/card_number.h"
#include "services/cache/secrets/corpus.h"
#include "services/cache/secrets/decoders.h"

namespace slipstream::cache::secrets {
namespace {

TEST(SecretGuardTest, RefusesEverySecretOfTheCorpus) {
  const auto secrets = Secrets();
  EXPECT_GE(secrets.size(), 200u);
  std::set<std::string> texts;
  for (const auto& sample : secrets) {
    texts.insert(sample.text);
    const auto found = FindSecret(sample.text);
    EXPECT_TRUE(found.has_value()) << sample.name << ": " << sample.text;
  }
  EXPECT_EQ(texts.size(), secrets.size()) << "each counts once";
}

TEST(SecretGuardTest, NamesTheKind) {
  int other = 0;
  for (const auto& sample : Secrets()) {
    const auto found = FindSecret(sample.text);
    // A text may hold two: a token under a telling name is both.
    if (found && found->kind != sample.kind) {
      ++other;
      const bool token = sample.kind == Kind::kBearerToken || sample.kind == Kind::kApiToken ||
                         sample.kind == Kind::kPrivateKey || sample.kind == Kind::kPassword;
      EXPECT_TRUE(token) << sample.name << " is called " << NameOf(found->kind);
    }
  }
  EXPECT_LE(other, 10);
}

TEST(SecretGuardTest, LetsEveryLookAlikePass) {
  const auto samples = LookAlikes();
  EXPECT_GE(samples.size(), 200u);
  for (const auto& sample : samples) {
    const auto found = FindSecret(sample.text);
    EXPECT_FALSE(found.has_value()) << sample.name << ": " << sample.text << " taken for "
                                    << NameOf(found->kind) << " at " << found->at;
  }
}

// Where it stands, what is around it and how long that is makes no difference.
TEST(SecretGuardTest, FindsASecretAtEveryPlaceOfALongText) {
  const std::string filler = "Lorem ipsum dolor sit amet, consectetur adipiscing elit; ";
  std::string text;
  while (text.size() < 3000) text += filler;
  for (const std::string& secret :
       {Jwt("alice"), std::string("password=hunter2"), std::string("4012") + "888888881881",
        Base64("password=hunter2")}) {
    for (size_t at = 0; at < 120; ++at) {
      std::string all = text;
      all.insert(1000 + at, " " + secret + " ");
      EXPECT_TRUE(FindSecret(all).has_value()) << secret << " at " << at;
    }
    EXPECT_TRUE(FindSecret(secret).has_value());
  }
}

TEST(SecretGuardTest, LooksThroughThreeEncodings) {
  const std::string secret = "password=hunter2secret";
  EXPECT_TRUE(FindSecret(Base64(Base64(secret))).has_value());
  EXPECT_TRUE(FindSecret(Base64(Base64(Base64(secret)))).has_value());
  EXPECT_TRUE(FindSecret(PercentEncoded(Base64(secret), true)).has_value());
  EXPECT_TRUE(FindSecret(Base64(PercentEncoded(secret, true))).has_value());
  EXPECT_TRUE(FindSecret("/path/to/" + Base64(secret, true, false) + "/x").has_value());
  std::string wrapped = Base64(std::string(100, '.') + secret + std::string(100, '.'));
  for (size_t i = 76; i < wrapped.size(); i += 78) wrapped.insert(i, "\r\n");
  EXPECT_TRUE(FindSecret(wrapped).has_value());
  // The first decoding that says nothing does not end the search.
  EXPECT_TRUE(FindSecret(Base64("nothing to see here at all") + " " + Base64(secret)).has_value());
}

TEST(SecretGuardTest, TellsWhere) {
  const auto found = FindSecret("abc password=hunter2");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->at, 4u);
  EXPECT_EQ(found->kind, Kind::kPassword);
}

TEST(SecretGuardTest, ShortAndOddInputsAreFine) {
  for (size_t size = 0; size < 40; ++size) {
    for (int byte = 0; byte < 256; ++byte) {
      FindSecret(std::string(size, static_cast<char>(byte)));
    }
  }
  // Every prefix and suffix of every sample: no check reads beyond an end.
  for (const auto& sample : Secrets()) {
    const std::string_view text = sample.text;
    if (text.size() > 400) continue;
    for (size_t i = 0; i <= text.size(); ++i) {
      FindSecret(std::string(text.substr(0, i)));
      FindSecret(std::string(text.substr(i)));
    }
  }
}

TEST(SecretGuardTest, CardNumbersNeedRangeLengthAndCheckDigit) {
  EXPECT_TRUE(IsCardNumber(std::string("411111") + "1111111111"));
  EXPECT_FALSE(IsCardNumber(std::string("411111") + "1111111112"));
  EXPECT_FALSE(IsCardNumber("1111111111111117"));
  EXPECT_FALSE(IsCardNumber("4111111111"));
}

}  // namespace
}  // namespace slipstream::cache::secrets
