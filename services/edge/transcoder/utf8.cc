#include <cstdint>
#include <cstring>

#include "services/edge/transcoder/json_lexer.h"

namespace slipstream::edge {

namespace {

bool Continues(unsigned char c) { return (c & 0xC0) == 0x80; }

// Bytes of the valid sequence at `p` (of `left` bytes), 0 when it is not one. Ranges by Unicode 15,
// table 3-7.
size_t Sequence_bytes(const unsigned char* p, size_t left) {
  if (p[0] < 0x80) return 1;
  if (p[0] < 0xC2) return 0;
  if (p[0] < 0xE0) return left >= 2 && Continues(p[1]) ? 2 : 0;
  if (p[0] < 0xF0) {
    if (left < 3 || !Continues(p[1]) || !Continues(p[2])) return 0;
    if (p[0] == 0xE0 && p[1] < 0xA0) return 0;  // overlong
    if (p[0] == 0xED && p[1] > 0x9F) return 0;  // surrogate
    return 3;
  }
  if (p[0] > 0xF4 || left < 4) return 0;
  if (!Continues(p[1]) || !Continues(p[2]) || !Continues(p[3])) return 0;
  if (p[0] == 0xF0 && p[1] < 0x90) return 0;  // overlong
  if (p[0] == 0xF4 && p[1] > 0x8F) return 0;  // beyond U+10FFFF
  return 4;
}

}  // namespace

size_t ValidUtf8Prefix_bytes(std::string_view text) {
  const auto* data = reinterpret_cast<const unsigned char*>(text.data());
  size_t i = 0;
  while (i < text.size()) {
    uint64_t word;
    if (text.size() - i >= sizeof(word)) {  // eight ASCII bytes at once: most text
      std::memcpy(&word, data + i, sizeof(word));
      if ((word & 0x8080808080808080ull) == 0) {
        i += sizeof(word);
        continue;
      }
    }
    const size_t n = Sequence_bytes(data + i, text.size() - i);
    if (n == 0) return i;
    i += n;
  }
  return i;
}

}  // namespace slipstream::edge
