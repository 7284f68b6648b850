#include "libs/logging/json_escape.h"

namespace slipstream::logging {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Length of the well-formed sequence at the start of `text`; 0 when it is ill-formed, with the
// length of the part to replace in `bad`. The table is the Unicode Standard's, table 3-7.
std::size_t SequenceLength(std::string_view text, std::size_t* bad) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  *bad = 1;
  if (lead < 0x80) return 1;
  std::size_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return 0;
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (i >= text.size() || byte(i) < low || byte(i) > high) return 0;
    *bad = i + 1;
    low = 0x80;
    high = 0xBF;
  }
  return length;
}

// The escape of an ASCII character, or empty when it stands for itself.
std::string_view EscapeOf(char c, char (&buffer)[6]) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    default:
      break;
  }
  const auto u = static_cast<unsigned char>(c);
  if (u >= 0x20 && u != 0x7F) return {};
  constexpr char kHex[] = "0123456789abcdef";
  buffer[0] = '\\';
  buffer[1] = 'u';
  buffer[2] = '0';
  buffer[3] = '0';
  buffer[4] = kHex[u >> 4];
  buffer[5] = kHex[u & 0xF];
  return std::string_view(buffer, 6);
}

}  // namespace

bool AppendJsonEscaped(std::string_view text, std::string* out, std::size_t max_bytes) {
  std::size_t left = max_bytes;
  char buffer[6];
  while (!text.empty()) {
    std::size_t bad = 0;
    std::size_t consumed = SequenceLength(text, &bad);
    std::string_view piece;
    if (consumed == 0) {
      piece = kReplacement;
      consumed = bad;
    } else {
      piece = text.substr(0, consumed);
      if (consumed == 1) {
        const std::string_view escaped = EscapeOf(text[0], buffer);
        if (!escaped.empty()) piece = escaped;
      }
    }
    if (piece.size() > left) return false;
    left -= piece.size();
    out->append(piece);
    text.remove_prefix(consumed);
  }
  return true;
}

std::string JsonQuote(std::string_view text) {
  std::string out = "\"";
  AppendJsonEscaped(text, &out);
  out += '"';
  return out;
}

}  // namespace slipstream::logging
