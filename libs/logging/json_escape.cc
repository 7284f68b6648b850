#include "libs/logging/json_escape.h"

#include "libs/utf8/utf8.h"

namespace slipstream::logging {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

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
    const utf8::Sequence sequence = utf8::First(text);
    std::string_view piece = sequence.valid ? text.substr(0, sequence.bytes) : kReplacement;
    if (sequence.valid && sequence.bytes == 1) {
      const std::string_view escaped = EscapeOf(text[0], buffer);
      if (!escaped.empty()) piece = escaped;
    }
    if (piece.size() > left) return false;
    left -= piece.size();
    out->append(piece);
    text.remove_prefix(sequence.bytes);
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
