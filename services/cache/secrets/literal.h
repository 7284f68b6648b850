// A literal that betrays a secret, and the check that decides about the text around it.
#ifndef SERVICES_CACHE_SECRETS_LITERAL_H_
#define SERVICES_CACHE_SECRETS_LITERAL_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/types/span.h"
#include "services/cache/secrets/finding.h"

namespace slipstream::cache::secrets {

// Most bytes that one check looks at, so that a whole scan stays linear.
inline constexpr size_t kMaxLookBytes = 256;

// What checks of the same text have looked at already, where kMaxLookBytes is too few.
struct Progress {
  // Tokens of `rejected_row` before `rejected_end` were seen as a part of a longer one, in vain.
  size_t rejected_end = 0;
  uint16_t rejected_row = 0;
  size_t cookies_end = 0;  // cookie headers before this
  size_t jwks_end = 0;     // JSON objects of keys before this
};

struct Literal;

// Where a literal stands.
struct Place {
  std::string_view text;
  size_t begin, end;  // of the literal
  const Literal& literal;
};

// At least three bytes.
struct Literal {
  std::string_view text;  // without capitals unless `exact`
  bool exact = false;     // capitals count
  // Looks at the text around; nullopt: there is no secret here.
  std::optional<Kind> (*check)(const Place& place, Progress& progress) = nullptr;
  // What belongs to the check: a row in its table.
  uint16_t row = 0;
};
using Literals = absl::Span<const Literal>;

}  // namespace slipstream::cache::secrets

#endif  // SERVICES_CACHE_SECRETS_LITERAL_H_
