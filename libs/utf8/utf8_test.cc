#include "libs/utf8/utf8.h"

#include <string>

#include "gtest/gtest.h"

namespace slipstream::utf8 {
namespace {

// The encoding of a code point by the definition, surrogates included.
std::string Encoded(uint32_t c) {
  const auto tail = [](uint32_t bits) { return static_cast<char>(0x80 | (bits & 0x3F)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), tail(c)};
  if (c < 0x10000) return {static_cast<char>(0xE0 | c >> 12), tail(c >> 6), tail(c)};
  return {static_cast<char>(0xF0 | c >> 18), tail(c >> 12), tail(c >> 6), tail(c)};
}

TEST(Utf8, TakesEveryCodePointButSurrogates) {
  for (uint32_t c = 0; c <= 0x10FFFF; ++c) {
    const std::string text = Encoded(c);
    const Sequence sequence = First(text + "x");
    const bool surrogate = c >= 0xD800 && c <= 0xDFFF;
    ASSERT_EQ(sequence.valid, !surrogate) << std::hex << c;
    if (!surrogate) ASSERT_EQ(sequence.bytes, text.size()) << std::hex << c;
    ASSERT_EQ(IsValid(text), !surrogate) << std::hex << c;
  }
}

// Unicode 15, tables 3-8 to 3-11: what one replacement character stands for.
TEST(Utf8, IllFormedPartsAreMaximal) {
  const struct {
    std::string_view text;
    size_t bytes;
  } cases[] = {{"\xC0\xAF", 1},     {"\xE0\x80\xBF", 1},     {"\xF0\x81\x82\x41", 1},
               {"\xED\xA0\x80", 1}, {"\xF4\x91\x92\x93", 1}, {"\xFF", 1},
               {"\x80", 1},         {"\xE1\x80\xE2", 2},     {"\xF0\x91\x92\xF1", 3},
               {"\xF1\xBF\x41", 2}, {"\xE2\x82", 2},         {"\xC3", 1}};
  for (const auto& one : cases) {
    const Sequence sequence = First(one.text);
    EXPECT_FALSE(sequence.valid) << testing::PrintToString(one.text);
    EXPECT_EQ(sequence.bytes, one.bytes) << testing::PrintToString(one.text);
  }
}

TEST(Utf8, TheValidPrefixEndsAtTheFirstBadByteWhereverItStands) {
  for (size_t before = 0; before < 20; ++before) {
    const std::string good(before, 'a');
    EXPECT_EQ(ValidPrefixBytes(good), before);
    EXPECT_EQ(ValidPrefixBytes(good + "\xFF" + "tail of some length"), before);
    EXPECT_EQ(ValidPrefixBytes(good + "é\xC3"), before + 2);
  }
}

TEST(Utf8, CutsBetweenCharacters) {
  const std::string text = "aé€";  // 1, 2 and 3 bytes
  const size_t want[] = {0, 1, 1, 3, 3, 3, 6, 6};
  for (size_t at = 0; at < 8; ++at) EXPECT_EQ(CutAt(text, at), want[at]) << at;
}

}  // namespace
}  // namespace slipstream::utf8
