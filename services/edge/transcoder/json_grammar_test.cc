// Accept and refuse tables in the manner of JSONTestSuite: the grammar alone, with no message in
// mind.
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "libs/utf8/utf8.h"
#include "services/edge/transcoder/json_lexer.h"
#include "services/edge/transcoder/json_reader.h"

namespace slipstream::edge {
namespace {

using std::string_literals::operator""s;

TEST(JsonGrammar, Accepts) {
  const std::vector<std::string> texts = {
      "0",
      "-0",
      "1",
      "-1",
      "10",
      "1.0",
      "0.5",
      "-0.5",
      "1e1",
      "1E1",
      "1e+1",
      "1e-1",
      "1.5e300",
      "0e0",
      "0.0e-0",
      "123456789012345678901234567890",
      "true",
      "false",
      "null",
      "\"\"",
      "\"a\"",
      "\"\\\"\"",
      "\"\\\\\"",
      "\"\\/\"",
      "\"\\b\\f\\n\\r\\t\"",
      "\"\\u0000\"",
      "\"\\u00e9\\u00E9\"",
      "\"\\ud83d\\uDE00\"",
      "\"é€😀\"",
      "\"\x7f\"",
      "\"\xEF\xBF\xBF\"",
      "\"\xF4\x8F\xBF\xBF\"",
      "\"\\uFFFF\"",
      "\"\\u2028\"",
      "[]",
      "[ ]",
      "[1]",
      "[1,2]",
      "[[]]",
      "[null,true]",
      "{}",
      "{ }",
      "{\"a\":1}",
      "{\"a\":1,\"b\":2}",
      "{\"\":0}",
      "{\"a\":{\"a\":1}}",
      " 1 ",
      "\n\t\r [ 1 ] \n",
      "{\"a\":[{\"b\":[]}]}",
      "\"/* not a comment */\"",
      "[\"a\",\"a\"]",
      "\"'\"",
      "[0,-0.0,1e5]",
  };
  for (const std::string& text : texts)
    EXPECT_TRUE(CheckJson(text).ok()) << text << ": " << CheckJson(text);
}

TEST(JsonGrammar, Refuses) {
  const std::vector<std::string> texts = {
      // Numbers.
      "01",
      "-01",
      "00",
      "+1",
      ".5",
      "1.",
      "-.5",
      "1.e1",
      "1e",
      "1e+",
      "1e1.5",
      "--1",
      "-",
      "1..2",
      "0x10",
      "0b1",
      "1_000",
      "1a",
      "Infinity",
      "-Infinity",
      "NaN",
      "1 2",
      "１",
      "- 1",
      "1e 1",
      "0e",
      "1,5",
      "-a",
      // Words.
      "True",
      "TRUE",
      "nul",
      "nulll",
      "truefalse",
      "undefined",
      "tru",
      "a",
      // Strings.
      "\"",
      "\"a",
      "'a'",
      "`a`",
      "\"\n\"",
      "\"\t\"",
      "\"\x01\"",
      "\"a\0b\""s,
      "\"\\x41\"",
      "\"\\u\"",
      "\"\\u12\"",
      "\"\\u12G4\"",
      "\"\\ud800\"",
      "\"\\udc00\"",
      "\"\\ud800\\u0041\"",
      "\"\\ud800x\"",
      "\"\\ud800\\ud800\"",
      "\"\\",
      "\"\\'\"",
      "\"\\a\"",
      "\"\\U0041\"",
      "\"\\\n\"",
      "\"\x80\"",
      "\"\xC3\"",
      "\"\xC0\xAF\"",
      "\"\xE0\x80\xAF\"",
      "\"\xED\xA0\x80\"",
      "\"\xF5\x80\x80\x80\"",
      "\"\xF4\x90\x80\x80\"",
      "\"\xFF\"",
      "\"\xC3\\u00a9\"",
      "\"aaaaaaaa\xC3\"",
      "\"a\" \"b\"",
      "\"a\"\"b\"",
      // Lists.
      "[",
      "]",
      "[1",
      "[1,",
      "[1,]",
      "[,]",
      "[,1]",
      "[1,,2]",
      "[1 2]",
      "[1;2]",
      "[1:2]",
      "[1}",
      "[1]]",
      "[\"a\"",
      "[...]",
      // Objects.
      "{",
      "}",
      "{\"a\"",
      "{\"a\":",
      "{\"a\":1",
      "{\"a\":1,",
      "{\"a\":1,}",
      "{,}",
      "{\"a\" 1}",
      "{\"a\",1}",
      "{a:1}",
      "{'a':1}",
      "{1:1}",
      "{null:1}",
      "{\"a\":1 \"b\":2}",
      "{\"a\":1}}",
      "{\"a\":1]",
      "{\"a\"::1}",
      "{:1}",
      "{\"a\":}",
      "{\"a\":1,\"a\":2}",
      "{\"a\":1,\"\\u0061\":2}",
      "{[]:1}",
      // Comments, marks, blanks that are not JSON's, leftovers.
      "/**/1",
      "1//",
      "1#",
      "// a\n1",
      "[1/**/]",
      "{/**/}",
      "\xEF\xBB\xBF{}",
      "\xC2\xA0"
      "1",
      "\v1",
      "\f1",
      "1\0"s,
      "\0"s,
      "",
      " ",
      "{}x",
      "{} {}",
      "[][]",
      "1;",
      "<a/>",
      "\xFF",
      "()",
      "$",
      "[1]\xE2\x80\xA8",
  };
  for (const std::string& text : texts) EXPECT_FALSE(CheckJson(text).ok()) << text;
}

TEST(JsonGrammar, EveryPrefixOfAnObjectIsRefused) {
  const std::string text = R"({"a":[1,-2.5e+3,"x\u00e9\n",true,null],"b":{"c":"é"}})";
  ASSERT_TRUE(CheckJson(text).ok());
  for (size_t n = 0; n < text.size(); ++n) EXPECT_FALSE(CheckJson(text.substr(0, n)).ok()) << n;
}

TEST(JsonGrammar, Utf8AgreesWithADecoderForEveryShortSequence) {
  // All two-byte strings and all three-byte strings whose first byte leads a sequence of three.
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string two = {static_cast<char>(a), static_cast<char>(b)};
      const bool expected =
          (a < 0x80 && b < 0x80) || (a >= 0xC2 && a < 0xE0 && b >= 0x80 && b < 0xC0);
      ASSERT_EQ(utf8::IsValid(two), expected) << a << " " << b;
      if (a < 0xE0 || a >= 0xF0 || b < 0x80 || b >= 0xC0) continue;
      const unsigned code =
          (static_cast<unsigned>(a & 15) << 12) | (static_cast<unsigned>(b & 63) << 6);
      const bool fine = code >= 0x800 && (code < 0xD800 || code > 0xDFFF);
      ASSERT_EQ(utf8::IsValid(two + "\x80"), fine) << a << " " << b;
      ASSERT_EQ(utf8::IsValid("12345678" + two + "\x80" + "12345678"), fine);
      ASSERT_FALSE(utf8::IsValid(two));
    }
  }
}

}  // namespace
}  // namespace slipstream::edge
