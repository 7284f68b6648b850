#include <cstdint>

#include "libs/status/status.h"

namespace slipstream::status {
namespace {

// Length of the valid UTF-8 character at the start of `text` (RFC 3629, table 3-7 of Unicode), or
// 0 when there is none.
size_t CharacterLength(absl::string_view text) {
  const auto byte = [&](size_t at) { return static_cast<uint8_t>(text[at]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  size_t length = 0;
  uint8_t low = 0x80, high = 0xBF;  // the range of the second byte
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;   // no overlong forms
    if (lead == 0xED) high = 0x9F;  // no surrogates
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;   // no overlong forms
    if (lead == 0xF4) high = 0x8F;  // nothing above U+10FFFF
  } else {
    return 0;
  }
  if (text.size() < length || byte(1) < low || byte(1) > high) return 0;
  for (size_t at = 2; at < length; ++at) {
    if ((byte(at) & 0xC0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

std::string BoundedText(absl::string_view text, size_t max_bytes) {
  constexpr absl::string_view kCut = "...";
  const size_t kept_bytes = max_bytes > kCut.size() ? max_bytes - kCut.size() : 0;
  std::string bounded;
  size_t cut_at = 0;  // the last character's edge that leaves room for kCut
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    if (bounded.size() + (length == 0 ? 1 : length) > max_bytes) {
      bounded.resize(cut_at);
      if (kCut.size() <= max_bytes) bounded.append(kCut.data(), kCut.size());
      return bounded;
    }
    if (length == 0) {
      bounded.push_back('?');
      text.remove_prefix(1);
    } else {
      bounded.append(text.data(), length);
      text.remove_prefix(length);
    }
    if (bounded.size() <= kept_bytes) cut_at = bounded.size();
  }
  return bounded;
}

}  // namespace slipstream::status
