#include "services/cache/secrets/literals.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "services/cache/secrets/fields.h"
#include "services/cache/secrets/keys.h"
#include "services/cache/secrets/text.h"
#include "services/cache/secrets/tokens.h"

namespace slipstream::cache::secrets {

namespace {

constexpr uint32_t Fold(char c) { return static_cast<unsigned char>(c) | 0x20u; }
constexpr uint32_t kFilterBits = 1 << 16;
constexpr uint32_t HashOf(uint32_t trigram) { return (trigram * 0x9e3779b1u) >> 16; }
constexpr uint32_t TrigramOf(std::string_view text) {
  return Fold(text[0]) | Fold(text[1]) << 8 | Fold(text[2]) << 16;
}

// Literals by their first three bytes.
class Index {
 public:
  Index() {
    for (const Literals& group : {TokenLiterals(), KeyLiterals(), FieldLiterals()}) {
      for (const Literal& literal : group) {
        const uint32_t trigram = TrigramOf(literal.text);
        by_trigram_.push_back({trigram, &literal});
        filter_[HashOf(trigram) / 64] |= uint64_t{1} << (HashOf(trigram) % 64);
      }
    }
    std::sort(by_trigram_.begin(), by_trigram_.end(),
              [](const Item& a, const Item& b) { return a.trigram < b.trigram; });
  }

  bool MayBegin(uint32_t trigram) const {
    const uint32_t hash = HashOf(trigram);
    return (filter_[hash / 64] >> (hash % 64) & 1) != 0;
  }

  std::optional<Kind> CheckAt(std::string_view text, size_t at, uint32_t trigram,
                              Progress& progress) const {
    auto it = std::lower_bound(by_trigram_.begin(), by_trigram_.end(), trigram,
                               [](const Item& a, uint32_t t) { return a.trigram < t; });
    for (; it != by_trigram_.end() && it->trigram == trigram; ++it) {
      const Literal& literal = *it->literal;
      const bool there = literal.exact ? text.substr(at, literal.text.size()) == literal.text
                                       : HasAt(text, at, literal.text);
      if (!there) continue;
      const Place place{text, at, at + literal.text.size(), literal};
      if (const auto kind = literal.check(place, progress)) return kind;
    }
    return std::nullopt;
  }

 private:
  struct Item {
    uint32_t trigram;
    const Literal* literal;
  };
  std::array<uint64_t, kFilterBits / 64> filter_{};
  std::vector<Item> by_trigram_;
};

const Index& TheIndex() {
  static const Index& index = *new Index;
  return index;
}

}  // namespace

std::optional<Finding> FindLiteral(std::string_view text) {
  if (text.size() < 3) return std::nullopt;
  const Index& index = TheIndex();
  Progress progress;
  uint32_t trigram = Fold(text[0]) << 8 | Fold(text[1]) << 16;
  for (size_t i = 0; i + 2 < text.size(); ++i) {
    trigram = trigram >> 8 | Fold(text[i + 2]) << 16;
    if (!index.MayBegin(trigram)) [[likely]]
      continue;
    if (const auto kind = index.CheckAt(text, i, trigram, progress)) return Finding{*kind, i};
  }
  return std::nullopt;
}

}  // namespace slipstream::cache::secrets
