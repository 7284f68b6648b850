#include "libs/config/setting.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace slipstream::config {
namespace {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::TextFormat;

// A value in an error message; longer ones are cut.
constexpr std::size_t kMaxShownBytes = 100;

void AddSettings(const google::protobuf::Descriptor& message, const std::string& prefix,
                 std::vector<const FieldDescriptor*>* parents, std::vector<Setting>* settings) {
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor* field = message.field(i);
    const std::string path = prefix + field->name();
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field->is_repeated()) {
      parents->push_back(field);
      AddSettings(*field->message_type(), path + ".", parents, settings);
      parents->pop_back();
      continue;
    }
    const v1::ConfigField& options = field->options().GetExtension(v1::setting);
    std::string env = options.env();
    if (env.empty()) {
      env = "SLIPSTREAM_" + absl::AsciiStrToUpper(absl::StrReplaceAll(path, {{".", "_"}}));
    }
    settings->push_back({path, std::move(env), *parents, field, options});
  }
}

const Message* FindHolder(const Setting& setting, const v1::Config& config) {
  const Message* holder = &config;
  for (const FieldDescriptor* parent : setting.parents) {
    if (!holder->GetReflection()->HasField(*holder, parent)) return nullptr;
    holder = &holder->GetReflection()->GetMessage(*holder, parent);
  }
  return holder;
}

std::string Number(double value) {
  return std::floor(value) == value ? absl::StrCat(static_cast<std::int64_t>(value))
                                    : absl::StrCat(value);
}

// "from 1 to 5", "of at least 1", "of at most 5" or nothing.
std::string RangeText(const v1::ConfigField& options, std::string_view unit) {
  const std::string after = unit.empty() ? "" : absl::StrCat(" ", std::string(unit));
  if (options.has_min() && options.has_max()) {
    return absl::StrCat(" from ", Number(options.min()), " to ", Number(options.max()), after);
  }
  if (options.has_min()) return absl::StrCat(" of at least ", Number(options.min()), after);
  if (options.has_max()) return absl::StrCat(" of at most ", Number(options.max()), after);
  return "";
}

std::string ScalarText(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "a number";
    case FieldDescriptor::CPPTYPE_STRING:
      return "text";
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return absl::StrCat(field.message_type()->name(), " in text format");
    case FieldDescriptor::CPPTYPE_ENUM: {
      std::vector<std::string> names;
      for (int i = 0; i < field.enum_type()->value_count(); ++i) {
        const EnumValueDescriptor* value = field.enum_type()->value(i);
        if (value->number() != 0) names.push_back(value->name());
      }
      return "one of " + absl::StrJoin(names, ", ");
    }
    default:
      return "a whole number";
  }
}

absl::Status Refuse(std::string_view path, const FieldDescriptor& field,
                    const v1::ConfigField& options, std::string_view value) {
  const std::string shown =
      options.secret() ? "a value that is not shown"
                       : absl::StrCat("\"", std::string(value.substr(0, kMaxShownBytes)), "\"");
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(path), " is ", shown, "; allowed: ", AllowedValues(field, options)));
}

// Parses `text` and sets, or adds to, a scalar field. False when it is no value of that type.
bool PutScalar(const std::string& text, const FieldDescriptor* field, Message* holder) {
  const Reflection* r = holder->GetReflection();
  const bool add = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL: {
      if (text != "true" && text != "false") return false;
      const bool v = text == "true";
      add ? r->AddBool(holder, field, v) : r->SetBool(holder, field, v);
      return true;
    }
    case FieldDescriptor::CPPTYPE_INT32: {
      std::int32_t v = 0;
      if (!absl::SimpleAtoi(text, &v)) return false;
      add ? r->AddInt32(holder, field, v) : r->SetInt32(holder, field, v);
      return true;
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      std::int64_t v = 0;
      if (!absl::SimpleAtoi(text, &v)) return false;
      add ? r->AddInt64(holder, field, v) : r->SetInt64(holder, field, v);
      return true;
    }
    case FieldDescriptor::CPPTYPE_UINT32: {
      std::uint32_t v = 0;
      if (!absl::SimpleAtoi(text, &v)) return false;
      add ? r->AddUInt32(holder, field, v) : r->SetUInt32(holder, field, v);
      return true;
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      std::uint64_t v = 0;
      if (!absl::SimpleAtoi(text, &v)) return false;
      add ? r->AddUInt64(holder, field, v) : r->SetUInt64(holder, field, v);
      return true;
    }
    case FieldDescriptor::CPPTYPE_FLOAT:
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double v = 0;
      if (!absl::SimpleAtod(text, &v) || !std::isfinite(v)) return false;
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
        add ? r->AddDouble(holder, field, v) : r->SetDouble(holder, field, v);
      } else {
        const float f = static_cast<float>(v);
        add ? r->AddFloat(holder, field, f) : r->SetFloat(holder, field, f);
      }
      return true;
    }
    case FieldDescriptor::CPPTYPE_ENUM: {
      const EnumValueDescriptor* v = field->enum_type()->FindValueByName(text);
      if (v == nullptr || v->number() == 0) return false;
      add ? r->AddEnum(holder, field, v) : r->SetEnum(holder, field, v);
      return true;
    }
    case FieldDescriptor::CPPTYPE_STRING:
      add ? r->AddString(holder, field, text) : r->SetString(holder, field, text);
      return true;
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return false;
}

// Drops the parser's messages: the caller words its own.
class NoErrors final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int, int, const std::string&) override {}
};

// `roles { role: "user" }` into the holder of `roles`; nothing else may stand in it.
bool PutMessages(const std::string& text, const FieldDescriptor* field, Message* holder) {
  const std::unique_ptr<Message> parsed(holder->New());
  NoErrors errors;
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&errors);
  if (!parser.ParseFromString(text, parsed.get())) return false;
  std::vector<const FieldDescriptor*> fields;
  parsed->GetReflection()->ListFields(*parsed, &fields);
  if (fields.size() > 1 || (fields.size() == 1 && fields[0] != field)) return false;
  holder->GetReflection()->ClearField(holder, field);
  holder->MergeFrom(*parsed);
  return true;
}

// A value as it is shown, and the figure that min and max bound.
struct Measured {
  std::string shown;
  std::optional<double> figure;  // absent: nothing to compare, such as for a bool
  bool known = true;             // false for an enum number without a name
};

Measured Measure(const Message& holder, const FieldDescriptor* field) {
  const Reflection* r = holder.GetReflection();
  if (field->is_repeated()) {
    const int count = r->FieldSize(holder, field);
    return {absl::StrCat(count, " values"), count, true};
  }
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: {
      const auto v = r->GetInt32(holder, field);
      return {absl::StrCat(v), v, true};
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      const auto v = r->GetInt64(holder, field);
      return {absl::StrCat(v), static_cast<double>(v), true};
    }
    case FieldDescriptor::CPPTYPE_UINT32: {
      const auto v = r->GetUInt32(holder, field);
      return {absl::StrCat(v), v, true};
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      const auto v = r->GetUInt64(holder, field);
      return {absl::StrCat(v), static_cast<double>(v), true};
    }
    case FieldDescriptor::CPPTYPE_FLOAT: {
      const auto v = r->GetFloat(holder, field);
      return {absl::StrCat(v), v, true};
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      const auto v = r->GetDouble(holder, field);
      return {absl::StrCat(v), v, true};
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string v = r->GetString(holder, field);
      return {v, static_cast<double>(v.size()), true};
    }
    case FieldDescriptor::CPPTYPE_ENUM: {
      const int v = r->GetEnumValue(holder, field);
      return {absl::StrCat(v), std::nullopt, field->enum_type()->FindValueByNumber(v) != nullptr};
    }
    default:
      return {"", std::nullopt, true};
  }
}

absl::Status CheckField(const Message& holder, const FieldDescriptor* field,
                        const v1::ConfigField& options, const std::string& path) {
  const Measured value = Measure(holder, field);
  bool ok = value.known;
  if (value.figure.has_value()) {
    // Written so that a NaN is out of range.
    if (options.has_min()) ok = ok && *value.figure >= options.min();
    if (options.has_max()) ok = ok && *value.figure <= options.max();
  }
  if (!ok) return Refuse(path, *field, options, value.shown);
  if (!field->is_repeated() || field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
    return absl::OkStatus();
  }
  for (int i = 0; i < holder.GetReflection()->FieldSize(holder, field); ++i) {
    const Message& element = holder.GetReflection()->GetRepeatedMessage(holder, field, i);
    for (int j = 0; j < field->message_type()->field_count(); ++j) {
      const FieldDescriptor* inner = field->message_type()->field(j);
      const absl::Status status =
          CheckField(element, inner, inner->options().GetExtension(v1::setting),
                     absl::StrCat(path, "[", i, "].", inner->name()));
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<Setting> AllSettings() {
  std::vector<Setting> settings;
  std::vector<const FieldDescriptor*> parents;
  AddSettings(*v1::Config::descriptor(), "", &parents, &settings);
  return settings;
}

Message* MutableHolder(const Setting& setting, v1::Config* config) {
  Message* holder = config;
  for (const FieldDescriptor* parent : setting.parents) {
    holder = holder->GetReflection()->MutableMessage(holder, parent);
  }
  return holder;
}

bool IsSet(const Setting& setting, const v1::Config& config) {
  const Message* holder = FindHolder(setting, config);
  if (holder == nullptr) return false;
  const Reflection* r = holder->GetReflection();
  if (setting.field->is_repeated()) return r->FieldSize(*holder, setting.field) > 0;
  // X_UNSPECIFIED says "the default holds".
  if (setting.field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM &&
      r->GetEnumValue(*holder, setting.field) == 0) {
    return false;
  }
  return r->HasField(*holder, setting.field);
}

bool NamesSecretFile(const Setting& setting) {
  const std::string& name = setting.field->name();
  return setting.field->cpp_type() == FieldDescriptor::CPPTYPE_STRING &&
         (name.ends_with("_file") || name.ends_with("_files"));
}

std::vector<std::string> StringValues(const Setting& setting, const v1::Config& config) {
  std::vector<std::string> values;
  const Message* holder = FindHolder(setting, config);
  if (holder == nullptr) return values;
  const Reflection* r = holder->GetReflection();
  if (!setting.field->is_repeated()) {
    values.push_back(r->GetString(*holder, setting.field));
  } else {
    for (int i = 0; i < r->FieldSize(*holder, setting.field); ++i) {
      values.push_back(r->GetRepeatedString(*holder, setting.field, i));
    }
  }
  std::erase(values, "");
  return values;
}

std::string AllowedValues(const FieldDescriptor& field, const v1::ConfigField& options) {
  const std::string one = ScalarText(field);
  if (field.is_repeated()) {
    const bool message = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    return absl::StrCat("a list of ", one, message ? "" : ", joined by commas",
                        options.has_min() || options.has_max() ? "," : "",
                        RangeText(options, "values"));
  }
  return one +
         RangeText(options, field.cpp_type() == FieldDescriptor::CPPTYPE_STRING ? "bytes" : "");
}

absl::Status SetFromText(const Setting& setting, std::string_view text, v1::Config* config) {
  Message* holder = MutableHolder(setting, config);
  const std::string value(text);
  bool ok = true;
  if (setting.field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    ok = PutMessages(value, setting.field, holder);
  } else if (!setting.field->is_repeated()) {
    ok = PutScalar(value, setting.field, holder);
  } else {
    holder->GetReflection()->ClearField(holder, setting.field);
    for (absl::string_view part : absl::StrSplit(value, ',', absl::SkipWhitespace())) {
      ok = ok && PutScalar(std::string(absl::StripAsciiWhitespace(part)), setting.field, holder);
    }
  }
  if (ok) return absl::OkStatus();
  return Refuse(setting.path, *setting.field, setting.options, text);
}

absl::Status CheckRange(const Setting& setting, const v1::Config& config) {
  const Message* holder = FindHolder(setting, config);
  if (holder == nullptr) return absl::OkStatus();
  return CheckField(*holder, setting.field, setting.options, setting.path);
}

}  // namespace slipstream::config
