// UTF-8 as the Unicode Standard has it (table 3-7): no overlong forms, no surrogates, nothing above
// U+10FFFF.
//
// Thread safety: pure functions.
#ifndef SLIPSTREAM_LIBS_UTF8_UTF8_H_
#define SLIPSTREAM_LIBS_UTF8_UTF8_H_

#include <cstddef>
#include <string_view>

namespace slipstream::utf8 {

struct Sequence {
  bool valid = false;
  // Of the character when valid; else of what one U+FFFD stands for (the maximal ill-formed part,
  // Unicode 15, section 3.9). 1 to 4.
  size_t bytes = 1;
};

// The sequence at the start of `text`. REQUIRES: !text.empty().
inline Sequence First(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {true, 1};
  size_t length = 0;
  unsigned char low = 0x80, high = 0xBF;  // the range of the second byte
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {false, 1};
  }
  for (size_t i = 1; i < length; ++i) {
    if (i >= text.size() || byte(i) < low || byte(i) > high) return {false, i};
    low = 0x80;
    high = 0xBF;
  }
  return {true, length};
}

// Length of the longest valid prefix: text.size() when all of it is valid.
size_t ValidPrefixBytes(std::string_view text);

inline bool IsValid(std::string_view text) { return ValidPrefixBytes(text) == text.size(); }

// The last place at or before `at` where valid text may be cut without breaking a character.
inline size_t CutAt(std::string_view text, size_t at) {
  if (at >= text.size()) return text.size();
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

}  // namespace slipstream::utf8

#endif  // SLIPSTREAM_LIBS_UTF8_UTF8_H_
