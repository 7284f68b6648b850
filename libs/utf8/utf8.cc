#include "libs/utf8/utf8.h"

#include <cstdint>
#include <cstring>

namespace slipstream::utf8 {

size_t ValidPrefixBytes(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    uint64_t word;
    if (text.size() - i >= sizeof(word)) {  // eight ASCII bytes at once: most text
      std::memcpy(&word, text.data() + i, sizeof(word));
      if ((word & 0x8080808080808080ull) == 0) {
        i += sizeof(word);
        continue;
      }
    }
    const Sequence sequence = First(text.substr(i));
    if (!sequence.valid) return i;
    i += sequence.bytes;
  }
  return i;
}

}  // namespace slipstream::utf8
