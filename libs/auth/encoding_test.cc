#include <gtest/gtest.h>

#include "libs/auth/base64url.h"
#include "libs/auth/claim_text.h"
#include "libs/auth/strict_json.h"

namespace slipstream::auth {
namespace {

TEST(Base64UrlTest, RoundTripsEveryLengthAndByte) {
  std::string bytes;
  for (int i = 0; i < 600; ++i) {
    const std::string text = Base64UrlEncode(bytes);
    EXPECT_EQ(text.find_first_of("+/="), std::string::npos);
    ASSERT_EQ(Base64UrlDecode(text), bytes) << i;
    bytes.push_back(static_cast<char>(i * 7));
  }
}

TEST(Base64UrlTest, RefusesEverySpellingButOne) {
  EXPECT_EQ(Base64UrlDecode("Zm8"), "fo");
  for (const char* text :
       {"Zm8=", "Zm9", "Zm8 ", "Zm 8", "Z", "Zm9vY", "Zm8\n", "Zm+v", "Zm/v", "Zh"}) {
    EXPECT_EQ(Base64UrlDecode(text), std::nullopt) << text;
  }
}

TEST(StrictJsonTest, TakesOneObjectOnly) {
  EXPECT_TRUE(ParseStrictJsonObject(R"({"a":1,"b":{"a":2},"c":[{"a":3},{"a":4}]})"));
  for (const char* text : {"",
                           "  ",
                           "[]",
                           "1",
                           "\"a\"",
                           "null",
                           "{",
                           R"({"a":1}{})",
                           R"({"a":1} x)",
                           R"({"a":1,})",
                           R"({'a':1})",
                           R"({a:1})",
                           R"({"a":1,"a":2})",
                           R"({"b":{"a":1,"a":1}})",
                           R"({"a":1,"\u0061":2})",
                           R"({"a":01})",
                           R"({"a":NaN})",
                           R"({"a":1e999})",
                           "{\"a\":\"\xff\"}",
                           "\xef\xbb\xbf{}",
                           R"({"a":[[[[[[[[1]]]]]]]]})",
                           "{\"a\":\"\n\"}",
                           R"(/*c*/{})"}) {
    EXPECT_FALSE(ParseStrictJsonObject(text)) << text;
  }
  EXPECT_FALSE(ParseStrictJsonObject(std::string("{}\0", 3)));
  EXPECT_FALSE(ParseStrictJsonObject("{\"a\":" + std::string(100'000, '[')));
}

TEST(ClaimTextTest, TakesWellFormedTextWithinBounds) {
  EXPECT_TRUE(IsClaimText("alice", 128));
  EXPECT_TRUE(IsClaimText("J\xc3\xbcrgen \xf0\x9f\x98\x80", 128));
  EXPECT_TRUE(IsClaimText(std::string(128, 'a'), 128));
  EXPECT_FALSE(IsClaimText(std::string(129, 'a'), 128));
  EXPECT_FALSE(IsClaimText("", 128));
  for (const std::string& text :
       {std::string("a\0b", 3), std::string("a\n"), std::string("\x7f"), std::string("\xc2\x85"),
        std::string("\xc3"), std::string("\xc0\xaf"), std::string("\xed\xa0\x80"),
        std::string("\xf4\x90\x80\x80"), std::string("\x80"), std::string("\xff")}) {
    EXPECT_FALSE(IsClaimText(text, 128)) << testing::PrintToString(text);
  }
}

}  // namespace
}  // namespace slipstream::auth
