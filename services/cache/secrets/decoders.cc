#include "services/cache/secrets/decoders.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "services/cache/secrets/text.h"

namespace slipstream::cache::secrets {

namespace {

constexpr uint8_t kNot64 = 0xff;

constexpr std::array<uint8_t, 256> kValues = [] {
  std::array<uint8_t, 256> out{};
  for (auto& value : out) value = kNot64;
  for (int i = 0; i < 26; ++i) {
    out[static_cast<size_t>('A' + i)] = static_cast<uint8_t>(i);
    out[static_cast<size_t>('a' + i)] = static_cast<uint8_t>(26 + i);
  }
  for (int i = 0; i < 10; ++i) out[static_cast<size_t>('0' + i)] = static_cast<uint8_t>(52 + i);
  out['+'] = out['-'] = 62;
  out['/'] = out['_'] = 63;
  return out;
}();

uint8_t ValueOf(char c) { return kValues[static_cast<unsigned char>(c)]; }
bool In64(char c) { return ValueOf(c) != kNot64; }

// Lines of wrapped base64 have at least this length; shorter lines are words.
constexpr size_t kMinLineBytes = 40;

// The length of a line end at `at`, plain or escaped as in JSON; 0 when there is none.
size_t LineEndAt(std::string_view text, size_t at) {
  size_t end = at;
  while (end - at < 8 && end < text.size()) {
    if (IsEol(text[end])) {
      ++end;
    } else if (text[end] == '\\' &&
               (ByteAt(text, end + 1) == 'n' || ByteAt(text, end + 1) == 'r')) {
      end += 2;
    } else {
      break;
    }
  }
  return end - at;
}

// Which digit of a group of four may belong to three bytes of text, a bit each for the first three:
// they hold the upper bits of the bytes, those of ASCII's printable ones or of a line end or tab.
constexpr std::array<uint8_t, 256> kTextDigits = [] {
  std::array<uint8_t, 256> out{};
  for (size_t c = 0; c < 256; ++c) {
    const uint8_t v = kValues[c];
    if (v == kNot64) continue;
    const bool first = v == 2 || v == 3 || (v >= 8 && v < 32);
    const bool second = (v & 15) == 0 || ((v & 15) >= 2 && (v & 15) < 8);
    const bool third = (v & 3) < 2;
    out[c] = static_cast<uint8_t>((first ? 1 : 0) | (second ? 2 : 0) | (third ? 4 : 0));
  }
  return out;
}();

bool MayMeanText(const char* group) {
  const auto digit = [group](int i) { return kTextDigits[static_cast<unsigned char>(group[i])]; };
  return ((digit(0) & 1) | (digit(1) & 2) | (digit(2) & 4)) == 7;
}

void Decode(std::string_view digits, std::string* out) {
  out->resize(digits.size() / 4 * 3 + 3);
  char* to = out->data();
  uint32_t bits = 0;
  int have = 0;
  for (const char c : digits) {
    bits = bits << 6 | ValueOf(c);
    if (++have < 4) continue;
    to[0] = static_cast<char>(bits >> 16);
    to[1] = static_cast<char>(bits >> 8);
    to[2] = static_cast<char>(bits);
    to += 3;
    have = 0;
  }
  if (have == 3) {
    *to++ = static_cast<char>(bits >> 10);
    *to++ = static_cast<char>(bits >> 2);
  } else if (have == 2) {
    *to++ = static_cast<char>(bits >> 4);
  }
  out->resize(static_cast<size_t>(to - out->data()));
}

int HexOf(char c) {
  if (IsDigit(c)) return c - '0';
  const char lower = Lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// `count` hexadecimal digits at `at`; -1 when they are not there.
int HexAt(std::string_view text, size_t at, size_t count) {
  int out = 0;
  for (size_t i = 0; i < count; ++i) {
    const int digit = HexOf(ByteAt(text, at + i));
    if (digit < 0) return -1;
    out = out * 16 + digit;
  }
  return out;
}

// A code point, as far as secrets need it: beyond ASCII one byte stands for any other letter.
char CharOf(int code) { return code > 0 && code < 0x80 ? static_cast<char>(code) : '\x80'; }

struct Entity {
  std::string_view name;
  char means;
};
constexpr std::array kEntities = {Entity{"quot;", '"'}, Entity{"amp;", '&'}, Entity{"lt;", '<'},
                                  Entity{"gt;", '>'}, Entity{"apos;", '\''}};

// The escape at `at`: how many bytes it takes (0: none) and what it means.
size_t EscapeAt(std::string_view text, size_t at, char* means) {
  const char c = text[at];
  if (c == '%') {
    const int byte = HexAt(text, at + 1, 2);
    if (byte < 0) return 0;
    *means = static_cast<char>(byte);
    return 3;
  }
  if (c == '\\') {
    const char kind = ByteAt(text, at + 1);
    const size_t digits = kind == 'u' ? 4 : kind == 'x' ? 2 : 0;
    const int code = digits == 0 ? -1 : HexAt(text, at + 2, digits);
    if (code < 0) return 0;
    *means = CharOf(code);
    return 2 + digits;
  }
  if (ByteAt(text, at + 1) == '#') {
    const bool hex = Lower(ByteAt(text, at + 2)) == 'x';
    size_t i = at + (hex ? 3 : 2);
    int code = 0;
    const size_t first = i;
    while (i - first < 6 && (hex ? HexOf(ByteAt(text, i)) >= 0 : IsDigit(ByteAt(text, i)))) {
      code = code * (hex ? 16 : 10) + HexOf(text[i++]);
    }
    if (i == first || ByteAt(text, i) != ';') return 0;
    *means = CharOf(code);
    return i + 1 - at;
  }
  for (const Entity& entity : kEntities) {
    if (!HasAt(text, at + 1, entity.name)) continue;
    *means = entity.means;
    return 1 + entity.name.size();
  }
  return 0;
}

}  // namespace

Base64Run NextBase64Run(std::string_view text, size_t from) {
  for (size_t probe = from + kMinBase64Bytes - 1; probe < text.size(); probe += kMinBase64Bytes) {
    if (!In64(text[probe])) continue;
    size_t begin = probe;
    while (begin > from && In64(text[begin - 1])) --begin;
    size_t end = EndOf(text, probe, text.size(), In64);
    if (end - begin < kMinBase64Bytes) {
      probe = end - 1;
      continue;
    }
    for (size_t line = begin; end - line >= kMinLineBytes;) {
      const size_t gap = LineEndAt(text, end);
      if (gap == 0 || !In64(ByteAt(text, end + gap))) break;
      line = end + gap;
      end = EndOf(text, line, text.size(), In64);
    }
    return {begin, end};
  }
  return {text.size(), text.size()};
}

unsigned Base64Alignments(std::string_view run) {
  unsigned out = 1;
  for (size_t i = 0; i < run.size() && out != 0xf; ++i) {
    if (!IsAlnum(run[i])) out |= 1u << ((i + 1) & 3);
  }
  return out;
}

std::string DecodeBase64(std::string_view digits) {
  std::string out;
  Decode(digits, &out);
  return out;
}

std::string_view WithoutLineEnds(std::string_view run, std::string* scratch) {
  size_t line = EndOf(run, 0, run.size(), In64);
  if (line == run.size()) return run;
  scratch->assign(run.substr(0, line));
  while (line < run.size()) {
    line += LineEndAt(run, line);
    const size_t end = EndOf(run, line, run.size(), In64);
    scratch->append(run.substr(line, end - line));
    line = end;
  }
  return *scratch;
}

size_t NextTextInBase64(std::string_view run, size_t from, std::string* out) {
  // Eight bytes of text hold two whole groups of four digits, wherever they begin.
  constexpr size_t kMinGroups = 2;
  size_t groups = 0;
  size_t at = from;
  for (; at + 4 <= run.size(); at += 4) {
    if (MayMeanText(run.data() + at)) {
      ++groups;
    } else if (groups >= kMinGroups) {
      break;
    } else {
      groups = 0;
    }
  }
  if (groups < kMinGroups) {
    out->clear();
    return run.size();
  }
  const size_t begin = std::max(from, at - groups * 4 < from + 4 ? from : at - groups * 4 - 4);
  const size_t end = std::min(run.size(), at + 4);
  Decode(run.substr(begin, end - begin), out);
  return end;
}

bool HasEscapes(std::string_view text) {
  char means;
  for (const char mark : {'%', '\\', '&'}) {
    for (size_t at = text.find(mark); at != text.npos; at = text.find(mark, at + 1)) {
      if (EscapeAt(text, at, &means) > 0) return true;
    }
  }
  return false;
}

void Unescape(std::string_view text, std::string* out) {
  out->resize(text.size());
  char* to = out->data();
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    char means = c;
    size_t size = c == '%' || c == '\\' || c == '&' ? EscapeAt(text, i, &means) : 0;
    if (size == 0 && c == '\\') {
      const char escaped = ByteAt(text, i + 1);
      const bool known = escaped == '"' || escaped == '\\' || escaped == '/';
      if (known || escaped == 'n' || escaped == 'r' || escaped == 't') {
        means = known ? escaped : escaped == 't' ? '\t' : '\n';
        size = 2;
      }
    }
    if (c == '+') means = ' ';
    *to++ = means;
    i += size == 0 ? 1 : size;
  }
  out->resize(static_cast<size_t>(to - out->data()));
}

}  // namespace slipstream::cache::secrets
