#include "services/edge/transcoder/json_message_reader.h"

#include <cstdint>
#include <limits>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/edge/transcoder/json_reader.h"
#include "services/edge/transcoder/near_name.h"
#include "services/edge/transcoder/scalar_text.h"

namespace slipstream::edge {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr size_t kMaxShownKey_bytes = 64;

bool IsNullValueEnum(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM &&
         field.enum_type()->full_name() == "google.protobuf.NullValue";
}

bool TakesNull(const FieldDescriptor& field) {
  return IsNullValueEnum(field) ||
         (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
          field.message_type()->well_known_type() == Descriptor::WELLKNOWNTYPE_VALUE);
}

bool IsNumeric(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
    case FieldDescriptor::CPPTYPE_STRING:
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return false;
    default:
      return true;
  }
}

std::string Shown(std::string_view key) {
  if (key.size() <= kMaxShownKey_bytes) return std::string(key);
  return std::string(key.substr(0, kMaxShownKey_bytes)) + "...";
}

std::string Wanted(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return "must be true or false";
    case FieldDescriptor::CPPTYPE_STRING:
      return field.type() == FieldDescriptor::TYPE_BYTES ? "must be a base64 string"
                                                         : "must be a string";
    case FieldDescriptor::CPPTYPE_ENUM:
      return absl::StrCat("must be one of ", EnumNames(*field.enum_type()));
    default:
      return "must be a number";
  }
}

}  // namespace

bool JsonMessageReader::Fail(std::string message) {
  if (fault_.empty()) fault_ = std::move(message);
  return false;
}

bool JsonMessageReader::Deeper() {
  if (++depth_ <= kMaxJsonDepth_count) return true;
  return Fail(absl::StrCat("is nested deeper than ", kMaxJsonDepth_count, " levels"));
}

bool JsonMessageReader::DeeperOnWire() {
  if (++wire_depth_ <= kMaxWireDepth_count) return true;
  return Fail(absl::StrCat("is nested too deep: more than ", kMaxWireDepth_count,
                           " messages within one another when encoded"));
}

bool JsonMessageReader::Under(std::string part) {
  fault_path_.push_back(std::move(part));
  return false;
}

absl::Status JsonMessageReader::Finish(bool ok) {
  if (ok && !lexer_.AtEnd()) ok = lexer_.Expected("the end of the text");
  if (ok) return absl::OkStatus();
  std::string path;
  for (auto part = fault_path_.rbegin(); part != fault_path_.rend(); ++part) {
    if (!path.empty() && (part->empty() || part->front() != '[')) path.push_back('.');
    path += *part;
  }
  const std::string& message = fault_.empty() ? lexer_.error() : fault_;
  return status::FieldError(path, message);
}

bool JsonMessageReader::ReadMessage(Message* message) {
  const Descriptor& type = *message->GetDescriptor();
  switch (type.well_known_type()) {
    case Descriptor::WELLKNOWNTYPE_UNSPECIFIED:
      if (lexer_.Peek() != '{') return Fail("must be an object");
      return ReadObject(message, "");
    case Descriptor::WELLKNOWNTYPE_STRUCT:
      if (lexer_.Peek() != '{') return Fail("must be an object");
      if (message->GetReflection() == google::protobuf::Struct::GetReflection()) {
        return ReadStruct(static_cast<google::protobuf::Struct*>(message));
      }
      return ReadMap(*type.FindFieldByNumber(1), message);
    case Descriptor::WELLKNOWNTYPE_LISTVALUE:
      if (lexer_.Peek() != '[') return Fail("must be a list");
      return ReadRepeated(*type.FindFieldByNumber(1), message);
    case Descriptor::WELLKNOWNTYPE_VALUE:
      return ReadStructValue(message);
    case Descriptor::WELLKNOWNTYPE_ANY:
      return ReadAny(message);
    default:
      return ReadTextual(message);
  }
}

bool JsonMessageReader::ReadSubMessage(Message* message) {
  if (!DeeperOnWire()) return false;
  const bool ok = ReadMessage(message);
  --wire_depth_;
  return ok;
}

bool JsonMessageReader::ReadObject(Message* message, std::string_view skipped_key) {
  const Descriptor& type = *message->GetDescriptor();
  const Reflection& reflection = *message->GetReflection();
  absl::InlinedVector<uint64_t, 2> seen(static_cast<size_t>(type.field_count()) / 64 + 1, 0);
  int next = 0;  // clients mostly send fields in the proto's order
  bool skipped = false;
  return ReadMembers([&](std::string_view key) {
    if (!skipped_key.empty() && key == skipped_key) {
      if (std::exchange(skipped, true)) return Fail("is given twice") || Under(std::string(key));
      return SkipValue();
    }
    const FieldDescriptor* field = next < type.field_count() && type.field(next)->name() == key
                                       ? type.field(next)
                                       : FindField(type, key);
    if (field == nullptr) {
      const std::string name = Shown(key);
      return Fail(absl::StrCat("is not a field of ", type.name(), "; ",
                               KnownFieldsHint(key, type))) ||
             Under(name);
    }
    next = field->index() + 1;
    uint64_t& word = seen[static_cast<size_t>(field->index()) / 64];
    const uint64_t bit = uint64_t{1} << (field->index() % 64);
    if ((word & bit) != 0) return Fail("is given twice") || Under(field->name());
    word |= bit;
    if (lexer_.Peek() == 'n' && (field->is_repeated() || !TakesNull(*field))) {
      return lexer_.ReadWord("null") || Under(field->name());
    }
    if (const auto* oneof = field->real_containing_oneof();
        oneof != nullptr && reflection.HasOneof(*message, oneof)) {
      const auto* other = reflection.GetOneofFieldDescriptor(*message, oneof);
      return Fail(absl::StrCat("excludes `", other->name(),
                               "`: only one of the two may be given")) ||
             Under(field->name());
    }
    return ReadField(*field, message);
  });
}

bool JsonMessageReader::ReadField(const FieldDescriptor& field, Message* message) {
  bool ok;
  if (field.is_map()) {
    ok = lexer_.Peek() == '{' ? ReadMap(field, message) : Fail("must be an object");
  } else if (field.is_repeated()) {
    ok = lexer_.Peek() == '[' ? ReadRepeated(field, message) : Fail("must be a list");
  } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    ok = ReadSubMessage(message->GetReflection()->MutableMessage(message, &field));
  } else {
    ok = ReadScalar(field, message);
  }
  return ok || Under(field.name());
}

bool JsonMessageReader::ReadRepeated(const FieldDescriptor& field, Message* message) {
  const Reflection& reflection = *message->GetReflection();
  const bool takes_null = TakesNull(field);
  return ReadElements([&] {
    if (!takes_null && lexer_.Peek() == 'n') return Fail("must not be null inside a list");
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      return ReadSubMessage(reflection.AddMessage(message, &field));
    }
    return ReadScalar(field, message);
  });
}

bool JsonMessageReader::ReadMap(const FieldDescriptor& field, Message* message) {
  const FieldDescriptor& key_field = *field.message_type()->map_key();
  const FieldDescriptor& value_field = *field.message_type()->map_value();
  const Reflection& reflection = *message->GetReflection();
  const bool takes_null = TakesNull(value_field);
  const bool value_is_message = value_field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  absl::flat_hash_set<std::string> seen;  // by the key's value: "1" and "1.0" of an int32 are one
  if (!DeeperOnWire()) return false;
  const bool ok = ReadMembers([&](std::string_view key) {
    Message* entry = reflection.AddMessage(message, &field);
    const Reflection& entries = *entry->GetReflection();
    std::string name(key);
    std::string canonical = name;
    const std::string wrong = SetFromText(key_field, key, entry);
    if (!wrong.empty()) return Fail(absl::StrCat("as a key ", wrong)) || Under(Shown(name));
    if (IsNumeric(key_field)) {
      int64_t number = 0;
      uint64_t large = 0;
      canonical = ParseInt64(name, &number) || !ParseUint64(name, &large) ? absl::StrCat(number)
                                                                          : absl::StrCat(large);
    }
    if (!seen.insert(std::move(canonical)).second) {
      return Fail("is given twice") || Under(Shown(name));
    }
    if (!takes_null && lexer_.Peek() == 'n') {
      return Fail("must not be null inside a map") || Under(Shown(name));
    }
    const bool read = value_is_message ? ReadSubMessage(entries.MutableMessage(entry, &value_field))
                                       : ReadScalar(value_field, entry);
    return read || Under(Shown(name));
  });
  --wire_depth_;
  return ok;
}

bool JsonMessageReader::ReadScalar(const FieldDescriptor& field, Message* message) {
  std::string_view text;
  const char c = lexer_.Peek();
  switch (c) {
    case '"':
      if (field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL) return Fail(Wanted(field));
      if (!lexer_.ReadString(&scratch_, &text)) return false;
      // A number inside quotes is a number; an enum inside quotes is a name, never a number.
      if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM && IsJsonNumber(text)) {
        return Fail(Wanted(field));
      }
      break;
    case '-':
    case '0' ... '9':
      if (!IsNumeric(field)) return Fail(Wanted(field));
      if (!lexer_.ReadNumber(&text)) return false;
      break;
    case 't':
    case 'f':
      text = c == 't' ? "true" : "false";
      if (!lexer_.ReadWord(text)) return false;
      if (field.cpp_type() != FieldDescriptor::CPPTYPE_BOOL) return Fail(Wanted(field));
      break;
    case 'n':
      if (!lexer_.ReadWord("null")) return false;
      if (!IsNullValueEnum(field)) return Fail(Wanted(field));
      text = "NULL_VALUE";
      break;
    case '{':
    case '[':
      return Fail(Wanted(field));
    default:
      return lexer_.Expected("a value");
  }
  if (field.type() == FieldDescriptor::TYPE_STRING) {  // already known to be UTF-8
    const Reflection& reflection = *message->GetReflection();
    std::string value = text.data() == scratch_.data() ? std::move(scratch_) : std::string(text);
    if (field.is_repeated()) {
      reflection.AddString(message, &field, std::move(value));
    } else {
      reflection.SetString(message, &field, std::move(value));
    }
    return true;
  }
  std::string wrong = SetFromText(field, text, message);
  return wrong.empty() || Fail(std::move(wrong));
}

}  // namespace slipstream::edge
