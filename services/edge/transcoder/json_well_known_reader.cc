// The messages with a JSON form of their own.
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "services/edge/transcoder/json_message_reader.h"
#include "services/edge/transcoder/scalar_text.h"

namespace slipstream::edge {

namespace {

constexpr size_t kMaxShownKey_bytes = 64;

}  // namespace

using google::protobuf::Descriptor;
using google::protobuf::Message;

// google.protobuf.Value by its published field numbers: null 1, number 2, string 3, bool 4, struct
// 5, list 6.
bool JsonMessageReader::ReadStructValue(Message* value) {
  const Descriptor& type = *value->GetDescriptor();
  const auto& reflection = *value->GetReflection();
  std::string_view text;
  switch (lexer_.Peek()) {
    case 'n':
      reflection.SetEnumValue(value, type.FindFieldByNumber(1), 0);
      return lexer_.ReadWord("null");
    case 't':
      reflection.SetBool(value, type.FindFieldByNumber(4), true);
      return lexer_.ReadWord("true");
    case 'f':
      reflection.SetBool(value, type.FindFieldByNumber(4), false);
      return lexer_.ReadWord("false");
    case '"':
      if (!lexer_.ReadString(&scratch_, &text)) return false;
      reflection.SetString(value, type.FindFieldByNumber(3), std::string(text));
      return true;
    case '{':
      return ReadSubMessage(reflection.MutableMessage(value, type.FindFieldByNumber(5)));
    case '[':
      return ReadSubMessage(reflection.MutableMessage(value, type.FindFieldByNumber(6)));
    case '-':
    case '0' ... '9': {
      double number;
      if (!lexer_.ReadNumber(&text)) return false;
      if (!ParseDouble(text, &number)) return Fail("is not a number in the range of a double");
      reflection.SetDouble(value, type.FindFieldByNumber(2), number);
      return true;
    }
    default:
      return lexer_.Expected("a value");
  }
}

bool JsonMessageReader::ReadStruct(google::protobuf::Struct* fields) {
  if (!DeeperOnWire()) return false;  // the map's entry
  auto& map = *fields->mutable_fields();
  const bool ok = ReadMembers([&](std::string_view key) {
    const auto [entry, fresh] = map.try_emplace(std::string(key));
    const bool read = fresh ? ReadStructMember(&entry->second) : Fail("is given twice");
    return read || Under(entry->first.substr(0, kMaxShownKey_bytes));
  });
  --wire_depth_;
  return ok;
}

bool JsonMessageReader::ReadStructList(google::protobuf::ListValue* list) {
  return ReadElements([&] { return ReadStructMember(list->add_values()); });
}

bool JsonMessageReader::ReadStructMember(google::protobuf::Value* value) {
  if (!DeeperOnWire()) return false;
  bool ok;
  switch (lexer_.Peek()) {
    case '{':
      ok = DeeperOnWire() && ReadStruct(value->mutable_struct_value());
      --wire_depth_;
      break;
    case '[':
      ok = DeeperOnWire() && ReadStructList(value->mutable_list_value());
      --wire_depth_;
      break;
    case '"': {
      std::string_view text;
      ok = lexer_.ReadString(&scratch_, &text);
      if (ok) value->set_string_value(text.data(), text.size());
      break;
    }
    default:
      ok = ReadStructValue(value);
  }
  --wire_depth_;
  return ok;
}

bool JsonMessageReader::ReadTextual(Message* message) {
  std::string_view text;
  const Descriptor& type = *message->GetDescriptor();
  if (IsWrapper(type)) return ReadScalar(*type.FindFieldByNumber(1), message);
  if (lexer_.Peek() != '"') return Fail("must be a string");
  if (!lexer_.ReadString(&scratch_, &text)) return false;
  std::string wrong = ParseTextualMessage(text, message);
  return wrong.empty() || Fail(std::move(wrong));
}

bool JsonMessageReader::ReadAny(Message* any) {
  if (lexer_.Peek() != '{') return Fail("must be an object with `@type`");
  // "@type" may stand anywhere in the object: look ahead for it, then read the object as that type.
  const JsonLexer start = lexer_;
  std::string type_url;
  bool empty = true;
  const bool scanned = ReadMembers([&](std::string_view key) {
    empty = false;
    if (key != "@type") return SkipValue();
    if (!type_url.empty()) return Fail("is given twice") || Under("@type");
    std::string_view text;
    if (lexer_.Peek() != '"') return Fail("must be a string") || Under("@type");
    if (!lexer_.ReadString(&scratch_, &text)) return Under("@type");
    type_url = text;
    return true;
  });
  if (!scanned) return false;
  if (empty) return true;  // {} is an empty Any
  if (type_url.empty())
    return Fail("is missing: an Any needs the name of its type") || Under("@type");
  lexer_ = start;

  const Descriptor& type = *any->GetDescriptor();
  const std::string name = type_url.substr(type_url.rfind('/') + 1);
  const Descriptor* inner_type = pool_->FindMessageTypeByName(name);
  if (inner_type == nullptr || type_url.find('/') == std::string::npos) {
    return Fail(absl::StrCat(
               "names no known message; write it as type.googleapis.com/package.Message")) ||
           Under("@type");
  }
  const Message* prototype = factory_->GetPrototype(inner_type);
  if (prototype == nullptr) return Fail("names no known message") || Under("@type");
  std::unique_ptr<Message> inner(prototype->New());
  if (inner_type->well_known_type() == Descriptor::WELLKNOWNTYPE_UNSPECIFIED) {
    if (!ReadObject(inner.get(), "@type")) return false;
  } else {
    bool has_value = false;
    const bool ok = ReadMembers([&](std::string_view key) {
      if (key == "@type") return SkipValue();
      if (key != "value" || std::exchange(has_value, true)) {
        return Fail(absl::StrCat("is not expected beside one `value` of ", name)) ||
               Under(std::string(key));
      }
      return ReadSubMessage(inner.get()) || Under("value");
    });
    if (!ok) return false;
    if (!has_value) return Fail("is missing") || Under("value");
  }
  any->GetReflection()->SetString(any, type.FindFieldByNumber(1), type_url);
  any->GetReflection()->SetString(any, type.FindFieldByNumber(2), inner->SerializeAsString());
  return true;
}

}  // namespace slipstream::edge
