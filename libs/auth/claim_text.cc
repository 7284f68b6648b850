#include "libs/auth/claim_text.h"

#include <cstdint>

namespace slipstream::auth {
namespace {

// Decodes one code point at `pos` and moves `pos` behind it; -1 when it is not well-formed UTF-8
// (overlong forms, surrogates and values above U+10FFFF included).
int32_t NextCodePoint(std::string_view text, size_t& pos) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(pos++);
  if (lead < 0x80) return lead;
  int continuation = 0;
  int32_t point = 0;
  int32_t smallest = 0;
  if ((lead & 0xE0) == 0xC0) {
    continuation = 1, point = lead & 0x1F, smallest = 0x80;
  } else if ((lead & 0xF0) == 0xE0) {
    continuation = 2, point = lead & 0x0F, smallest = 0x800;
  } else if ((lead & 0xF8) == 0xF0) {
    continuation = 3, point = lead & 0x07, smallest = 0x10000;
  } else {
    return -1;
  }
  for (; continuation > 0; --continuation) {
    if (pos >= text.size() || (byte(pos) & 0xC0) != 0x80) return -1;
    point = (point << 6) | (byte(pos++) & 0x3F);
  }
  if (point < smallest || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return -1;
  return point;
}

}  // namespace

bool IsClaimText(std::string_view text, size_t max_bytes) {
  if (text.empty() || text.size() > max_bytes) return false;
  for (size_t pos = 0; pos < text.size();) {
    const int32_t point = NextCodePoint(text, pos);
    if (point < 0x20 || (point >= 0x7F && point <= 0x9F)) return false;
  }
  return true;
}

}  // namespace slipstream::auth
