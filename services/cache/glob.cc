#include "services/cache/glob.h"

#include <utility>

namespace slipstream::cache {

namespace {

// Reads one byte of a set, `\` escaped or plain; false at the pattern's end.
bool SetByte(std::string_view pattern, size_t* at, unsigned char* out) {
  if (*at < pattern.size() && pattern[*at] == '\\') ++*at;
  if (*at >= pattern.size()) return false;
  *out = static_cast<unsigned char>(pattern[(*at)++]);
  return true;
}

// Reads a set after its '['; `at` ends behind the ']'.
absl::Status ReadSet(std::string_view pattern, size_t* at, std::bitset<256>* set) {
  const absl::Status open = absl::InvalidArgumentError("a [ has no ]");
  while (*at < pattern.size() && pattern[*at] != ']') {
    unsigned char first = 0, last = 0;
    if (!SetByte(pattern, at, &first)) return open;
    last = first;
    if (*at + 1 < pattern.size() && pattern[*at] == '-' && pattern[*at + 1] != ']') {
      ++*at;
      if (!SetByte(pattern, at, &last)) return open;
    }
    if (last < first) return absl::InvalidArgumentError("a range in [ ] runs backwards");
    for (int c = first; c <= last; ++c) set->set(static_cast<size_t>(c));
  }
  if (*at >= pattern.size()) return open;
  ++*at;
  if (set->none()) return absl::InvalidArgumentError("a [ ] is empty");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Glob> Glob::Compile(std::string_view pattern) {
  if (pattern.empty() || pattern.size() > kMaxPatternBytes) {
    return absl::InvalidArgumentError("must be 1-256 bytes; \"*\" matches everything");
  }
  Glob out;
  out.pattern_ = pattern;
  int stars = 0;
  for (size_t i = 0; i < pattern.size();) {
    const char c = pattern[i++];
    if (c == '*') {
      if (++stars > kMaxStarsCount) return absl::InvalidArgumentError("has more than 8 stars");
      out.tokens_.push_back({Token::kStar});
    } else if (c == '?') {
      out.tokens_.push_back({Token::kAnyByte});
    } else if (c == '[') {
      std::bitset<256> set;
      if (absl::Status bad = ReadSet(pattern, &i, &set); !bad.ok()) return bad;
      out.tokens_.push_back({Token::kSet, 0, out.sets_.size()});
      out.sets_.push_back(set);
    } else if (c == '\\') {
      if (i == pattern.size()) return absl::InvalidArgumentError("ends in a single \\");
      out.tokens_.push_back({Token::kByte, static_cast<unsigned char>(pattern[i++])});
    } else {
      out.tokens_.push_back({Token::kByte, static_cast<unsigned char>(c)});
    }
  }
  return out;
}

bool Glob::MatchesByte(const Token& token, unsigned char byte) const {
  switch (token.kind) {
    case Token::kByte:
      return token.byte == byte;
    case Token::kAnyByte:
      return true;
    case Token::kSet:
      return sets_[token.set].test(byte);
    case Token::kStar:
      break;
  }
  return false;
}

bool Glob::Matches(std::string_view text) const {
  // Only the latest star has to be tried again: an earlier one gains nothing by taking more.
  size_t t = 0, p = 0;
  size_t star = tokens_.size(), star_text = 0;
  while (t < text.size()) {
    if (p < tokens_.size() && tokens_[p].kind == Token::kStar) {
      star = p++;
      star_text = t;
    } else if (p < tokens_.size() && MatchesByte(tokens_[p], static_cast<unsigned char>(text[t]))) {
      ++p;
      ++t;
    } else if (star < tokens_.size()) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < tokens_.size() && tokens_[p].kind == Token::kStar) ++p;
  return p == tokens_.size();
}

}  // namespace slipstream::cache
