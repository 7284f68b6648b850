// A place in PostgreSQL's write-ahead log, as in "16/B374D848": how far a server has written or
// replayed. A later place is a greater number; 0 is before all of them.
//
// Thread safety: a plain value and free functions.
#ifndef LIBS_POSTGRES_WAL_POSITION_H_
#define LIBS_POSTGRES_WAL_POSITION_H_

#include <charconv>
#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>

namespace slipstream::postgres {

struct WalPosition {
  uint64_t bytes = 0;
  friend auto operator<=>(const WalPosition&, const WalPosition&) = default;
};

// Two hexadecimal numbers of at most 8 digits with a slash between; nullopt for anything else.
inline std::optional<WalPosition> ParseWalPosition(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos || slash > 8 || text.size() - slash - 1 > 8) {
    return std::nullopt;
  }
  const auto half = [](std::string_view digits) -> std::optional<uint32_t> {
    uint32_t out = 0;
    const char* end = digits.data() + digits.size();
    const auto [at, error] = std::from_chars(digits.data(), end, out, 16);
    if (error != std::errc() || at != end) return std::nullopt;
    return out;
  };
  const auto high = half(text.substr(0, slash));
  const auto low = half(text.substr(slash + 1));
  if (!high || !low) return std::nullopt;
  return WalPosition{(uint64_t{*high} << 32) | *low};
}

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_WAL_POSITION_H_
