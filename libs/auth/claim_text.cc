#include "libs/auth/claim_text.h"

#include "libs/utf8/utf8.h"

namespace slipstream::auth {

bool IsClaimText(std::string_view text, size_t max_bytes) {
  if (text.empty() || text.size() > max_bytes) return false;
  while (!text.empty()) {
    const utf8::Sequence character = utf8::First(text);
    if (!character.valid) return false;
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    // Control characters: U+0000 to U+001F, U+007F, and U+0080 to U+009F, which are C2 80 to C2 9F.
    if (byte(0) < 0x20 || byte(0) == 0x7F || (byte(0) == 0xC2 && byte(1) <= 0x9F)) return false;
    text.remove_prefix(character.bytes);
  }
  return true;
}

}  // namespace slipstream::auth
