#include "services/cache/secrets/secret_guard.h"

#include <algorithm>
#include <string>

#include "services/cache/secrets/card_number.h"
#include "services/cache/secrets/decoders.h"
#include "services/cache/secrets/literals.h"

namespace slipstream::cache::secrets {

namespace {

// Decoded bytes are searched where at least so many of them in a row are text: the least that holds
// a secret, and seldom met in what only looked like base64.
constexpr size_t kMinTextBytes = 8;

bool IsText(char c) { return (c >= ' ' && c < 0x7f) || c == '\n' || c == '\r' || c == '\t'; }

class Search {
 public:
  explicit Search(size_t bytes)
      : left_bytes_(std::max(kMinDecodedBytes, bytes * kMaxDecodedFactor)) {}

  std::optional<Finding> Find(std::string_view text, int depth) {
    if (auto found = FindLiteral(text)) return found;
    if (auto found = FindCardNumber(text)) return found;
    if (depth == kMaxDepth) return std::nullopt;
    if (auto found = FindInBase64(text, depth)) return found;
    return FindUnescaped(text, depth);
  }

 private:
  bool Spend(size_t bytes) {
    if (bytes > left_bytes_) return false;
    left_bytes_ -= bytes;
    return true;
  }

  std::optional<Finding> FindInBase64(std::string_view text, int depth) {
    std::string scratch, decoded;
    for (Base64Run run = NextBase64Run(text, 0); run.begin < text.size();
         run = NextBase64Run(text, run.end)) {
      const std::string_view digits =
          WithoutLineEnds(text.substr(run.begin, run.end - run.begin), &scratch);
      const unsigned alignments = Base64Alignments(digits);
      for (size_t alignment = 0; alignment < 4; ++alignment) {
        if ((alignments >> alignment & 1) == 0) continue;
        for (size_t at = alignment; at < digits.size();) {
          at = NextTextInBase64(digits, at, &decoded);
          if (!Spend(decoded.size())) return Finding{Kind::kOverEncoded, run.begin};
          if (auto found = FindInTexts(decoded, depth)) return Finding{found->kind, run.begin};
        }
      }
    }
    return std::nullopt;
  }

  std::optional<Finding> FindInTexts(std::string_view bytes, int depth) {
    for (size_t at = 0; at < bytes.size();) {
      const auto end =
          std::find_if_not(bytes.begin() + static_cast<ptrdiff_t>(at), bytes.end(), IsText);
      const auto size = static_cast<size_t>(end - bytes.begin()) - at;
      if (size >= kMinTextBytes) {
        if (auto found = Find(bytes.substr(at, size), depth + 1)) return found;
      }
      at += size + 1;
    }
    return std::nullopt;
  }

  std::optional<Finding> FindUnescaped(std::string_view text, int depth) {
    if (!HasEscapes(text)) return std::nullopt;
    if (!Spend(text.size())) return Finding{Kind::kOverEncoded, 0};
    std::string plain;
    Unescape(text, &plain);
    if (auto found = Find(plain, depth + 1)) return Finding{found->kind, 0};
    return std::nullopt;
  }

  size_t left_bytes_;
};

}  // namespace

std::optional<Finding> FindSecret(std::string_view bytes) {
  return Search(bytes.size()).Find(bytes, 0);
}

}  // namespace slipstream::cache::secrets
