#include "services/edge/transcoder/percent.h"

#include "libs/utf8/utf8.h"
#include "services/edge/transcoder/json_lexer.h"

namespace slipstream::edge {

namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

bool PercentDecode(std::string_view text, PercentDecoding mode, std::string* out) {
  out->clear();
  out->reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return false;
      const int high = HexValue(text[i + 1]);
      const int low = HexValue(text[i + 2]);
      if (high < 0 || low < 0) return false;
      c = static_cast<char>(high * 16 + low);
      i += 2;
      if (c == '/' && mode == PercentDecoding::kKeepSlash) {
        out->append("%2F");
        continue;
      }
    } else if (c == '+' && mode == PercentDecoding::kQuery) {
      c = ' ';
    }
    if (c == '\0') return false;
    out->push_back(c);
  }
  return utf8::IsValid(*out);
}

}  // namespace slipstream::edge
