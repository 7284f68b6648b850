#include "libs/logging/json_escape.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace slipstream::logging {
namespace {

TEST(JsonEscape, EscapesControlsQuotesAndBackslashes) {
  EXPECT_EQ(JsonQuote("a\"b\\c\n\r\t\b\f\x01\x7f"), "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001\\u007f\"");
}

TEST(JsonEscape, KeepsWellFormedUtf8) {
  const std::string text = "ä€𝄞";
  EXPECT_EQ(JsonQuote(text), "\"" + text + "\"");
}

TEST(JsonEscape, ReplacesEachIllFormedPartOnce) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(JsonQuote("a\xFFz"), "\"a" + r + "z\"");
  EXPECT_EQ(JsonQuote("\xC0\xAF"), "\"" + r + r + "\"");          // overlong slash
  EXPECT_EQ(JsonQuote("\xED\xA0\x80"), "\"" + r + r + r + "\"");  // a surrogate
  EXPECT_EQ(JsonQuote("\xF4\x90\x80\x80"), "\"" + r + r + r + r + "\"");
  EXPECT_EQ(JsonQuote("\xE2\x82"), "\"" + r + "\"");  // cut off
  EXPECT_EQ(JsonQuote("\xE2\x82z"), "\"" + r + "z\"");
}

TEST(JsonEscape, AnyTwoBytesMakeValidJson) {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string text = {static_cast<char>(a), static_cast<char>(b)};
      ASSERT_TRUE(nlohmann::json::accept(JsonQuote(text))) << a << " " << b;
    }
  }
}

TEST(JsonEscape, StopsBetweenCharacters) {
  std::string out;
  EXPECT_FALSE(AppendJsonEscaped("ab€", &out, 4));
  EXPECT_EQ(out, "ab");
  out.clear();
  EXPECT_TRUE(AppendJsonEscaped("ab€", &out, 5));
  out.clear();
  EXPECT_FALSE(AppendJsonEscaped("\n", &out, 1));
  EXPECT_EQ(out, "");
}

}  // namespace
}  // namespace slipstream::logging
