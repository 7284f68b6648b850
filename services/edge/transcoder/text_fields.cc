// SetFromText and what goes with it: fields and string-shaped messages from unquoted text.
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/utf8/utf8.h"
#include "services/edge/transcoder/json_lexer.h"
#include "services/edge/transcoder/scalar_text.h"

namespace slipstream::edge {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr size_t kMaxListedEnumName_count = 24;

// Reflection's Set* for singular and Add* for repeated fields.
#define SLIP_PUT(kind, value)                       \
  do {                                              \
    if (field.is_repeated()) {                      \
      reflection.Add##kind(message, &field, value); \
    } else {                                        \
      reflection.Set##kind(message, &field, value); \
    }                                               \
  } while (false)

const EnumValueDescriptor* FindEnumValue(const EnumDescriptor& type, std::string_view text) {
  if (const auto* named = type.FindValueByName(std::string(text)); named != nullptr) return named;
  int64_t number;
  if (!ParseInt64(text, &number) || number < std::numeric_limits<int32_t>::min() ||
      number > std::numeric_limits<int32_t>::max()) {
    return nullptr;
  }
  return type.FindValueByNumber(static_cast<int>(number));
}

std::string ParseFieldMask(std::string_view text, Message* message) {
  const auto* paths = message->GetDescriptor()->FindFieldByNumber(1);
  std::string path;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view one = text.substr(0, comma);
    if (!ParseFieldMaskPath(one, &path)) {
      return "is not a field mask: field paths separated by commas, such as `name,endpoint.url`";
    }
    message->GetReflection()->AddString(message, paths, path);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
    if (text.empty()) return "is not a field mask: it ends in a comma";
  }
  return "";
}

std::string ParseSecondsAndNanos(std::string_view text, bool timestamp, Message* message) {
  int64_t seconds;
  int32_t nanos;
  if (timestamp && !ParseTimestamp(text, &seconds, &nanos)) {
    return "is not a time such as `2025-01-31T08:00:00Z` (RFC 3339, years 0001 to 9999)";
  }
  if (!timestamp && !ParseDuration(text, &seconds, &nanos)) {
    return "is not a duration such as `1.5s` (seconds, at most 315576000000)";
  }
  const auto* type = message->GetDescriptor();
  message->GetReflection()->SetInt64(message, type->FindFieldByNumber(1), seconds);
  message->GetReflection()->SetInt32(message, type->FindFieldByNumber(2), nanos);
  return "";
}

}  // namespace

bool IsWrapper(const Descriptor& type) {
  const auto kind = type.well_known_type();
  return kind >= Descriptor::WELLKNOWNTYPE_DOUBLEVALUE &&
         kind <= Descriptor::WELLKNOWNTYPE_BOOLVALUE;
}

std::string EnumNames(const EnumDescriptor& type) {
  std::string names;
  for (int i = 0; i < type.value_count(); ++i) {
    if (static_cast<size_t>(i) == kMaxListedEnumName_count) return names + ", ...";
    absl::StrAppend(&names, i == 0 ? "" : ", ", type.value(i)->name());
  }
  return names;
}

bool IsTextual(const FieldDescriptor& field) {
  if (field.is_map()) return false;
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return true;
  const auto& type = *field.message_type();
  const auto kind = type.well_known_type();
  return IsWrapper(type) || kind == Descriptor::WELLKNOWNTYPE_TIMESTAMP ||
         kind == Descriptor::WELLKNOWNTYPE_DURATION || kind == Descriptor::WELLKNOWNTYPE_FIELDMASK;
}

std::string ParseTextualMessage(std::string_view text, Message* message) {
  const auto& type = *message->GetDescriptor();
  switch (type.well_known_type()) {
    case Descriptor::WELLKNOWNTYPE_TIMESTAMP:
      return ParseSecondsAndNanos(text, true, message);
    case Descriptor::WELLKNOWNTYPE_DURATION:
      return ParseSecondsAndNanos(text, false, message);
    case Descriptor::WELLKNOWNTYPE_FIELDMASK:
      return ParseFieldMask(text, message);
    default:
      if (IsWrapper(type)) return SetFromText(*type.FindFieldByNumber(1), text, message);
      return absl::StrCat("is a ", type.full_name(), " and cannot be given as text");
  }
}

std::string SetFromText(const FieldDescriptor& field, std::string_view text, Message* message) {
  const Reflection& reflection = *message->GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: {
      int64_t value;
      if (!ParseInt64(text, &value) || value < std::numeric_limits<int32_t>::min() ||
          value > std::numeric_limits<int32_t>::max()) {
        return "is not an integer from -2147483648 to 2147483647";
      }
      SLIP_PUT(Int32, static_cast<int32_t>(value));
      return "";
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      int64_t value;
      if (!ParseInt64(text, &value)) return "is not a 64-bit integer";
      SLIP_PUT(Int64, value);
      return "";
    }
    case FieldDescriptor::CPPTYPE_UINT32: {
      uint64_t value;
      if (!ParseUint64(text, &value) || value > std::numeric_limits<uint32_t>::max()) {
        return "is not an integer from 0 to 4294967295";
      }
      SLIP_PUT(UInt32, static_cast<uint32_t>(value));
      return "";
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      uint64_t value;
      if (!ParseUint64(text, &value)) return "is not an unsigned 64-bit integer";
      SLIP_PUT(UInt64, value);
      return "";
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double value;
      if (!ParseDouble(text, &value)) return "is not a number in the range of a double";
      SLIP_PUT(Double, value);
      return "";
    }
    case FieldDescriptor::CPPTYPE_FLOAT: {
      float value;
      if (!ParseFloat(text, &value)) return "is not a number in the range of a float";
      SLIP_PUT(Float, value);
      return "";
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text != "true" && text != "false") return "is neither true nor false";
      SLIP_PUT(Bool, text == "true");
      return "";
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto* value = FindEnumValue(*field.enum_type(), text);
      if (value == nullptr) return absl::StrCat("is not one of ", EnumNames(*field.enum_type()));
      SLIP_PUT(Enum, value);
      return "";
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string value;
      if (field.type() == FieldDescriptor::TYPE_BYTES) {
        if (!DecodeBase64(text, &value)) return "is not base64";
      } else {
        if (!utf8::IsValid(text)) return "is not valid UTF-8";
        value = text;
      }
      SLIP_PUT(String, std::move(value));
      return "";
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (!IsTextual(field)) return "is an object and cannot be given as text";
      return ParseTextualMessage(text, field.is_repeated()
                                           ? reflection.AddMessage(message, &field)
                                           : reflection.MutableMessage(message, &field));
  }
  return "has a type that is not supported";
}

#undef SLIP_PUT

}  // namespace slipstream::edge
