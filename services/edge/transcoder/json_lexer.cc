#include "services/edge/transcoder/json_lexer.h"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/utf8/utf8.h"

namespace slipstream::edge {

namespace {

constexpr uint64_t kOnes = 0x0101010101010101ull;
constexpr uint64_t kHighs = 0x8080808080808080ull;

// Nonzero when one of the eight bytes is zero.
uint64_t HasZero(uint64_t word) { return (word - kOnes) & ~word & kHighs; }

// Nonzero when one of the eight bytes ends plain string text: '"', '\\', a control, or not ASCII.
uint64_t HasSpecial(uint64_t word) {
  return (word & kHighs) | HasZero(word ^ (kOnes * '"')) | HasZero(word ^ (kOnes * '\\')) |
         HasZero(word & (kOnes * 0xE0));
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The end of the JSON number that starts at `p`, or null.
const char* NumberEnd(const char* p, const char* end) {
  if (p != end && *p == '-') ++p;
  if (p == end || !IsDigit(*p)) return nullptr;
  if (*p == '0') {
    ++p;
  } else {
    while (p != end && IsDigit(*p)) ++p;
  }
  if (p != end && *p == '.') {
    ++p;
    if (p == end || !IsDigit(*p)) return nullptr;
    while (p != end && IsDigit(*p)) ++p;
  }
  if (p != end && (*p == 'e' || *p == 'E')) {
    ++p;
    if (p != end && (*p == '+' || *p == '-')) ++p;
    if (p == end || !IsDigit(*p)) return nullptr;
    while (p != end && IsDigit(*p)) ++p;
  }
  return p;
}

void AppendUtf8(unsigned code, std::string* out) {
  if (code < 0x80) {
    out->push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out->push_back(static_cast<char>(0xC0 | (code >> 6)));
    out->push_back(static_cast<char>(0x80 | (code & 0x3F)));
  } else if (code < 0x10000) {
    out->push_back(static_cast<char>(0xE0 | (code >> 12)));
    out->push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (code & 0x3F)));
  } else {
    out->push_back(static_cast<char>(0xF0 | (code >> 18)));
    out->push_back(static_cast<char>(0x80 | ((code >> 12) & 0x3F)));
    out->push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3F)));
    out->push_back(static_cast<char>(0x80 | (code & 0x3F)));
  }
}

}  // namespace

bool JsonLexer::ReadString(std::string* scratch, std::string_view* value) {
  ++at_;  // the opening quote
  const char* start = at_;
  bool escaped = false;
  bool ascii = true;
  scratch->clear();
  for (;;) {
    uint64_t word;
    while (end_ - at_ >= 8 && (std::memcpy(&word, at_, 8), HasSpecial(word) == 0)) at_ += 8;
    if (at_ == end_) return Fail("the string has no closing quote");
    const auto c = static_cast<unsigned char>(*at_);
    if (c == '"') break;
    if (c < 0x20) return Fail("a control character in a string must be written as \\u00XX");
    if (c == '\\') {
      scratch->append(start, at_);
      escaped = true;
      if (!ReadEscape(scratch)) return false;
      start = at_;
      continue;
    }
    if (c >= 0x80) ascii = false;
    ++at_;
  }
  *value = std::string_view(start, static_cast<size_t>(at_ - start));
  if (escaped) {
    scratch->append(start, at_);
    *value = *scratch;
  }
  // Escapes only ever append valid sequences, but raw bytes around one must not join into one: a
  // split sequence has an ASCII backslash in it in the text and is invalid on either side of the
  // escape's output as well.
  if (!ascii && !utf8::IsValid(*value)) return Fail("the string is not valid UTF-8");
  ++at_;
  return true;
}

bool JsonLexer::ReadHex4(unsigned* value) {
  if (end_ - at_ < 4) return Fail("\\u needs four hexadecimal digits");
  *value = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    const char c = *at_;
    unsigned digit;
    if (IsDigit(c)) {
      digit = static_cast<unsigned>(c - '0');
    } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
      digit = static_cast<unsigned>((c | 0x20) - 'a' + 10);
    } else {
      return Fail("\\u needs four hexadecimal digits");
    }
    *value = *value * 16 + digit;
  }
  return true;
}

bool JsonLexer::ReadEscape(std::string* out) {
  ++at_;  // the backslash
  if (at_ == end_) return Fail("the string has no closing quote");
  const char c = *at_++;
  switch (c) {
    case '"':
    case '\\':
    case '/':
      out->push_back(c);
      return true;
    case 'b':
      out->push_back('\b');
      return true;
    case 'f':
      out->push_back('\f');
      return true;
    case 'n':
      out->push_back('\n');
      return true;
    case 'r':
      out->push_back('\r');
      return true;
    case 't':
      out->push_back('\t');
      return true;
    case 'u':
      break;
    default:
      --at_;
      return Fail("no such escape in JSON");
  }
  unsigned code;
  if (!ReadHex4(&code)) return false;
  if (code >= 0xDC00 && code <= 0xDFFF) return Fail("a low surrogate without a high one");
  if (code >= 0xD800 && code <= 0xDBFF) {
    unsigned low;
    if (end_ - at_ < 2 || at_[0] != '\\' || at_[1] != 'u') {
      return Fail("a high surrogate without a low one");
    }
    at_ += 2;
    if (!ReadHex4(&low)) return false;
    if (low < 0xDC00 || low > 0xDFFF) return Fail("a high surrogate without a low one");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  AppendUtf8(code, out);
  return true;
}

bool JsonLexer::ReadNumber(std::string_view* token) {
  Peek();
  const char* stop = NumberEnd(at_, end_);
  if (stop == nullptr) return Fail("not a JSON number");
  *token = std::string_view(at_, static_cast<size_t>(stop - at_));
  at_ = stop;
  // "01", "1.2.3", "1x": the value may only be followed by what JSON allows after one.
  if (at_ != end_ && std::strchr(" \t\r\n,]}", *at_) == nullptr) return Fail("not a JSON number");
  return true;
}

bool JsonLexer::ReadWord(std::string_view word) {
  Peek();
  if (static_cast<size_t>(end_ - at_) < word.size() ||
      std::memcmp(at_, word.data(), word.size()) != 0) {
    return Expected("a value");
  }
  at_ += word.size();
  if (at_ != end_ && std::strchr(" \t\r\n,]}", *at_) == nullptr) return Expected("`,` or the end");
  return true;
}

bool JsonLexer::Expected(std::string_view what) {
  const char c = Peek();
  std::string found = "the end of the text";
  if (at_ != end_) {
    if (c > 0x20 && c < 0x7F) {
      found = absl::StrCat("`", std::string(1, c), "`");
    } else {
      char hex[16];
      std::snprintf(hex, sizeof(hex), "byte 0x%02X", static_cast<unsigned char>(c));
      found = hex;
    }
  }
  return Fail(absl::StrCat("malformed JSON: ", std::string(what), " expected, ", found, " found"));
}

bool JsonLexer::Fail(std::string message) {
  if (error_.empty()) error_ = absl::StrCat(message, " (at byte ", offset(), ")");
  return false;
}

bool IsJsonNumber(std::string_view text) {
  return !text.empty() &&
         NumberEnd(text.data(), text.data() + text.size()) == text.data() + text.size();
}

}  // namespace slipstream::edge
