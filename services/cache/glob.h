// Glob patterns over byte strings: `*` any bytes, `?` one byte, `[a-z]` one of a set, `\` the next
// byte literally.
//
// Thread safety: immutable. Errors: INVALID_ARGUMENT with what is wrong with the pattern.
#ifndef SERVICES_CACHE_GLOB_H_
#define SERVICES_CACHE_GLOB_H_

#include <bitset>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace slipstream::cache {

class Glob {
 public:
  static constexpr size_t kMaxPatternBytes = 256;
  // One match takes at most pattern * text steps, and with this bound far fewer in practice.
  static constexpr int kMaxStarsCount = 8;

  static absl::StatusOr<Glob> Compile(std::string_view pattern);

  bool Matches(std::string_view text) const;

  const std::string& pattern() const { return pattern_; }

 private:
  Glob() = default;

  struct Token {
    enum Kind { kByte, kAnyByte, kSet, kStar } kind;
    unsigned char byte = 0;
    size_t set = 0;  // index into sets_
  };
  bool MatchesByte(const Token& token, unsigned char byte) const;

  std::string pattern_;
  std::vector<Token> tokens_;
  std::vector<std::bitset<256>> sets_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_GLOB_H_
