#include "libs/page_token/page_token.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "absl/strings/escaping.h"
#include "libs/status/status.h"

namespace slipstream::page_token {
namespace {

constexpr char kSecret[] = "0123456789abcdef";
constexpr char kFilter[] = "ListTasks user=alice status=PENDING";

PageTokens Tokens(const std::string& secret = kSecret) { return *PageTokens::Create(secret); }

void ExpectRefused(const absl::StatusOr<std::string>& position) {
  ASSERT_FALSE(position.ok()) << *position;
  EXPECT_EQ(position.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status::Metadata(position.status(), "field"), "page_token");
}

TEST(PageTokensTest, GivesThePositionBack) {
  const std::string position("t-1\0\xff binary", 12);
  const std::string token = *Tokens().Encode(position, kFilter);
  EXPECT_EQ(token.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                    "0123456789-_"),
            std::string::npos);
  EXPECT_EQ(*Tokens().Decode(token, kFilter), position);
}

TEST(PageTokensTest, EmptyIsTheFirstPageAndTheEnd) {
  EXPECT_EQ(*Tokens().Decode("", kFilter), "");
  EXPECT_EQ(*Tokens().Encode("", kFilter), "");
}

TEST(PageTokensTest, AnyChangedBitIsRefused) {
  const std::string token = *Tokens().Encode("t-1", kFilter);
  std::string bytes;
  ASSERT_TRUE(absl::WebSafeBase64Unescape(token, &bytes));
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string changed = bytes;
    changed[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    ExpectRefused(Tokens().Decode(absl::WebSafeBase64Escape(changed), kFilter));
  }
}

TEST(PageTokensTest, TruncatedExtendedAndForeignTextIsRefused) {
  const std::string token = *Tokens().Encode("t-1", kFilter);
  for (size_t length = 1; length < token.size(); ++length) {
    ExpectRefused(Tokens().Decode(token.substr(0, length), kFilter));
  }
  for (const std::string& text :
       {token + "A", token + "=", token + " ", " " + token, token + token, std::string("2"),
        std::string("not a token!"), std::string("\0", 1), std::string(1 << 20, 'A')}) {
    ExpectRefused(Tokens().Decode(text, kFilter));
  }
}

TEST(PageTokensTest, AnotherSecretIsRefused) {
  const std::string token = *Tokens("another secret, also long").Encode("t-1", kFilter);
  ExpectRefused(Tokens().Decode(token, kFilter));
}

TEST(PageTokensTest, AnotherFilterIsRefusedAndSaysSo) {
  const std::string token = *Tokens().Encode("t-1", kFilter);
  const auto position = Tokens().Decode(token, "ListTasks user=bob status=PENDING");
  ExpectRefused(position);
  EXPECT_NE(position.status().message().find("other filters"), absl::string_view::npos);
}

// A token of a later layout must not be read as this one, even with a good signature.
TEST(PageTokensTest, AnotherVersionIsRefused) {
  std::string bytes;
  ASSERT_TRUE(absl::WebSafeBase64Unescape(*Tokens().Encode("t-1", kFilter), &bytes));
  const auto signed_with_version = [&](char version) {
    std::string body = bytes.substr(0, bytes.size() - 32);
    body[0] = version;
    const std::string input = "slipstream.page_token\n" + body;
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int mac_bytes = 0;
    HMAC(EVP_sha256(), kSecret, sizeof(kSecret) - 1,
         reinterpret_cast<const unsigned char*>(input.data()), input.size(), mac, &mac_bytes);
    return absl::WebSafeBase64Escape(body + std::string(reinterpret_cast<char*>(mac), mac_bytes));
  };
  EXPECT_EQ(*Tokens().Decode(signed_with_version(1), kFilter), "t-1");
  ExpectRefused(Tokens().Decode(signed_with_version(2), kFilter));
}

TEST(PageTokensTest, BoundsThePositionAndTakesTheLargest) {
  const std::string largest(kMaxPositionBytes, 'x');
  EXPECT_EQ(*Tokens().Decode(*Tokens().Encode(largest, kFilter), kFilter), largest);
  const auto token = Tokens().Encode(largest + "x", kFilter);
  EXPECT_EQ(token.status().code(), absl::StatusCode::kInternal);
}

TEST(PageTokensTest, RefusesAWeakSecret) {
  EXPECT_EQ(PageTokens::Create("short").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(PageTokens::Create(std::string(kMinSecretBytes, 'k')).ok());
}

}  // namespace
}  // namespace slipstream::page_token
