#include "services/edge/transcoder/json_writer.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "libs/utf8/utf8.h"
#include "services/edge/transcoder/json_lexer.h"
#include "services/edge/transcoder/json_message_writer.h"

namespace slipstream::edge {

namespace {

// Integral doubles below this are printed as integers, without an exponent: 2^53, beyond which they
// are not exact.
constexpr double kMaxPlainInteger = 9007199254740992.0;

constexpr char kHex[] = "0123456789abcdef";

// Bytes that stand for themselves inside a JSON string.
struct PlainTable {
  bool plain[256];
  constexpr PlainTable() : plain() {
    for (int i = 0x20; i < 0x80; ++i) plain[i] = i != '"' && i != '\\';
  }
};
constexpr PlainTable kPlain;

void AppendEscape(unsigned char c, std::string* out) {
  switch (c) {
    case '"':
      out->append("\\\"");
      return;
    case '\\':
      out->append("\\\\");
      return;
    case '\n':
      out->append("\\n");
      return;
    case '\r':
      out->append("\\r");
      return;
    case '\t':
      out->append("\\t");
      return;
    default: {
      const char text[6] = {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
      out->append(text, sizeof(text));
    }
  }
}

template <typename T>
void AppendFloating(T value, std::string* out) {
  if (std::isnan(value)) {
    out->append("\"NaN\"");
  } else if (std::isinf(value)) {
    out->append(value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
  } else if (value == 0 && std::signbit(value)) {
    out->append("-0.0");  // "-0" is the integer zero to many parsers, and loses its sign
  } else {
    char text[64];
    const bool plain =
        std::abs(value) < static_cast<T>(kMaxPlainInteger) && value == std::trunc(value);
    const auto end = plain
                         ? std::to_chars(text, text + sizeof(text), value, std::chars_format::fixed)
                         : std::to_chars(text, text + sizeof(text), value);
    out->append(text, end.ptr);
  }
}

}  // namespace

void WriteJsonString(std::string_view text, std::string* out) {
  out->push_back('"');
  size_t start = 0;
  size_t i = 0;
  while (i < text.size()) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (kPlain.plain[c]) {
      ++i;
      continue;
    }
    if (c >= 0x80) {
      const utf8::Sequence sequence = utf8::First(text.substr(i));
      if (sequence.valid) {
        i += sequence.bytes;
        continue;
      }
    }
    out->append(text, start, i - start);
    if (c >= 0x80) {
      out->append("\xEF\xBF\xBD");  // U+FFFD for a byte that is not UTF-8
    } else {
      AppendEscape(c, out);
    }
    start = ++i;
  }
  out->append(text, start, text.size() - start);
  out->push_back('"');
}

void WriteJsonDouble(double value, std::string* out) { AppendFloating(value, out); }
void WriteJsonFloat(float value, std::string* out) { AppendFloating(value, out); }

absl::Status WriteJson(const google::protobuf::Message& message, std::string* out) {
  JsonMessageWriter writer(out, message);
  return writer.Finish(writer.WriteMessage(message));
}

absl::Status WriteJsonField(const google::protobuf::Message& message,
                            const google::protobuf::FieldDescriptor& field, std::string* out) {
  if (field.has_presence() && !message.GetReflection()->HasField(message, &field)) {
    out->append("null");
    return absl::OkStatus();
  }
  JsonMessageWriter writer(out, message);
  return writer.Finish(writer.WriteField(message, field));
}

}  // namespace slipstream::edge
