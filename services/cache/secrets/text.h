// What the checks ask of single bytes and words, in ASCII; nothing here allocates.
//
// Thread safety: pure functions.
#ifndef SERVICES_CACHE_SECRETS_TEXT_H_
#define SERVICES_CACHE_SECRETS_TEXT_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/strings/ascii.h"

namespace slipstream::cache::secrets {

inline bool IsAlnum(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); }
inline bool IsAlpha(char c) { return absl::ascii_isalpha(static_cast<unsigned char>(c)); }
inline bool IsDigit(char c) { return c >= '0' && c <= '9'; }
inline bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
inline bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
inline char Lower(char c) { return absl::ascii_tolower(static_cast<unsigned char>(c)); }
inline bool IsBlank(char c) { return c == ' ' || c == '\t'; }
inline bool IsEol(char c) { return c == '\n' || c == '\r'; }
inline bool IsQuote(char c) { return c == '"' || c == '\'' || c == '`'; }
inline bool IsNameByte(char c) { return IsAlnum(c) || c == '_' || c == '-' || c == '.'; }
// Of both base64 alphabets.
inline bool IsBase64(char c) { return IsAlnum(c) || c == '+' || c == '/' || c == '-' || c == '_'; }
inline bool IsBase64Url(char c) { return IsAlnum(c) || c == '-' || c == '_'; }

// The byte at `at`; 0 beyond the end.
inline char ByteAt(std::string_view text, size_t at) { return at < text.size() ? text[at] : '\0'; }

// `lower` at `at`, in any case. REQUIRES: `lower` has no capitals.
inline bool HasAt(std::string_view text, size_t at, std::string_view lower) {
  if (at > text.size() || text.size() - at < lower.size()) return false;
  for (size_t i = 0; i < lower.size(); ++i) {
    if (Lower(text[at + i]) != lower[i]) return false;
  }
  return true;
}
inline bool SameWord(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() && HasAt(text, 0, lower);
}
inline bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// Whether a word may begin at `at`. The letter of an escape (\n, \t) belongs to no word.
inline bool BeginsWord(std::string_view text, size_t at) {
  if (at == 0) return true;
  const char before = text[at - 1];
  if (!IsAlnum(before) && before != '_') return true;
  return at >= 2 && text[at - 2] == '\\' && IsLower(before);
}

// The end of the stretch from `at` whose bytes all fulfil `is`, at most `most` bytes of it.
template <class Is>
size_t EndOf(std::string_view text, size_t at, size_t most, Is is) {
  const size_t end = text.size() - at < most ? text.size() : at + most;
  while (at < end && is(text[at])) ++at;
  return at;
}

// What a stretch is made of: tells what a machine drew at random from what a person wrote.
struct Makeup {
  int lower = 0, upper = 0, digits = 0, others = 0;
  int distinct = 0;
  bool inner_capital = false;  // "aBc", but neither "Abc" nor "ABC"
  int longest_alnum = 0;
};
inline Makeup MakeupOf(std::string_view text) {
  Makeup out;
  uint64_t seen[4] = {};
  int run = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    seen[byte >> 6] |= uint64_t{1} << (byte & 63);
    if (IsLower(c))
      ++out.lower;
    else if (IsUpper(c)) {
      ++out.upper;
      if (i > 0 && (IsLower(text[i - 1]) || IsDigit(text[i - 1]))) out.inner_capital = true;
    } else if (IsDigit(c))
      ++out.digits;
    else
      ++out.others;
    run = IsAlnum(c) ? run + 1 : 0;
    if (run > out.longest_alnum) out.longest_alnum = run;
  }
  for (const uint64_t word : seen) out.distinct += std::popcount(word);
  return out;
}

}  // namespace slipstream::cache::secrets

#endif  // SERVICES_CACHE_SECRETS_TEXT_H_
