#include "libs/status/status.h"
#include "libs/utf8/utf8.h"

namespace slipstream::status {

std::string BoundedText(absl::string_view text, size_t max_bytes) {
  constexpr absl::string_view kCut = "...";
  const size_t kept_bytes = max_bytes > kCut.size() ? max_bytes - kCut.size() : 0;
  std::string bounded;
  size_t cut_at = 0;  // the last character's edge that leaves room for kCut
  while (!text.empty()) {
    const utf8::Sequence character = utf8::First({text.data(), text.size()});
    // Each byte that is not UTF-8 becomes one question mark.
    const size_t length = character.valid ? character.bytes : 1;
    if (bounded.size() + length > max_bytes) {
      bounded.resize(cut_at);
      if (kCut.size() <= max_bytes) bounded.append(kCut.data(), kCut.size());
      return bounded;
    }
    if (character.valid) {
      bounded.append(text.data(), length);
    } else {
      bounded.push_back('?');
    }
    text.remove_prefix(length);
    if (bounded.size() <= kept_bytes) cut_at = bounded.size();
  }
  return bounded;
}

}  // namespace slipstream::status
