// The messages with a JSON form of their own.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "services/edge/transcoder/json_message_writer.h"
#include "services/edge/transcoder/json_writer.h"
#include "services/edge/transcoder/scalar_text.h"

namespace slipstream::edge {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Struct;
using google::protobuf::Value;

bool JsonMessageWriter::WriteWellKnown(const Message& message) {
  const Descriptor& type = *message.GetDescriptor();
  switch (type.well_known_type()) {
    case Descriptor::WELLKNOWNTYPE_STRUCT:
      if (&type == Struct::descriptor() && message.GetReflection() == Struct::GetReflection()) {
        return WriteStruct(static_cast<const Struct&>(message));
      }
      return WriteField(message, *type.FindFieldByNumber(1));
    case Descriptor::WELLKNOWNTYPE_LISTVALUE:
      return WriteField(message, *type.FindFieldByNumber(1));
    case Descriptor::WELLKNOWNTYPE_VALUE:
      return WriteValue(message);
    case Descriptor::WELLKNOWNTYPE_ANY:
      return WriteAny(message);
    case Descriptor::WELLKNOWNTYPE_TIMESTAMP:
      return WriteTime(message, true);
    case Descriptor::WELLKNOWNTYPE_DURATION:
      return WriteTime(message, false);
    case Descriptor::WELLKNOWNTYPE_FIELDMASK:
      WriteFieldMask(message);
      return true;
    default:  // wrappers
      return WriteScalar(message, *type.FindFieldByNumber(1), -1);
  }
}

bool JsonMessageWriter::WriteNumber(double value) {
  if (!std::isfinite(value)) return Fail("a google.protobuf.Value is not a finite number");
  WriteJsonDouble(value, &out_);
  return true;
}

bool JsonMessageWriter::WriteValue(const Message& value) {
  const auto& reflection = *value.GetReflection();
  const auto* oneof = value.GetDescriptor()->FindFieldByNumber(1)->containing_oneof();
  const FieldDescriptor* kind = reflection.GetOneofFieldDescriptor(value, oneof);
  if (kind == nullptr) {  // nothing set: the nearest JSON has
    out_.append("null");
    return true;
  }
  if (kind->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
    return WriteNumber(reflection.GetDouble(value, kind));
  }
  return WriteField(value, *kind);
}

bool JsonMessageWriter::WriteStruct(const Struct& fields) {
  using Entry = std::pair<const std::string*, const Value*>;
  std::vector<Entry> entries;
  entries.reserve(fields.fields().size());
  for (const auto& [name, value] : fields.fields()) entries.emplace_back(&name, &value);
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return *a.first < *b.first; });
  out_.push_back('{');
  bool first = true;
  for (const auto& [name, value] : entries) {
    if (!first) out_.push_back(',');
    first = false;
    WriteJsonString(*name, &out_);
    out_.push_back(':');
    if (!WriteStructValue(*value)) return false;
  }
  out_.push_back('}');
  return true;
}

bool JsonMessageWriter::WriteStructValue(const Value& value) {
  if (++depth_ > kMaxWriteDepth_count) return Fail("it is nested too deep");
  bool ok = true;
  switch (value.kind_case()) {
    case Value::kNumberValue:
      ok = WriteNumber(value.number_value());
      break;
    case Value::kStringValue:
      WriteJsonString(value.string_value(), &out_);
      break;
    case Value::kBoolValue:
      out_.append(value.bool_value() ? "true" : "false");
      break;
    case Value::kStructValue:
      ok = WriteStruct(value.struct_value());
      break;
    case Value::kListValue: {
      out_.push_back('[');
      const auto& values = value.list_value().values();
      for (int i = 0; ok && i < values.size(); ++i) {
        if (i > 0) out_.push_back(',');
        ok = WriteStructValue(values[i]);
      }
      out_.push_back(']');
      break;
    }
    default:
      out_.append("null");
  }
  --depth_;
  return ok;
}

bool JsonMessageWriter::WriteTime(const Message& message, bool timestamp) {
  const auto* type = message.GetDescriptor();
  const int64_t seconds = message.GetReflection()->GetInt64(message, type->FindFieldByNumber(1));
  const int32_t nanos = message.GetReflection()->GetInt32(message, type->FindFieldByNumber(2));
  out_.push_back('"');
  const bool ok =
      timestamp ? AppendTimestamp(seconds, nanos, &out_) : AppendDuration(seconds, nanos, &out_);
  out_.push_back('"');
  return ok || Fail(absl::StrCat("a ", type->name(), " is out of range (", seconds, " s, ", nanos,
                                 " ns)"));
}

void JsonMessageWriter::WriteFieldMask(const Message& message) {
  const auto& reflection = *message.GetReflection();
  const auto* paths = message.GetDescriptor()->FindFieldByNumber(1);
  std::string text;
  for (int i = 0; i < reflection.FieldSize(message, paths); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ",", reflection.GetRepeatedString(message, paths, i));
  }
  WriteJsonString(text, &out_);
}

bool JsonMessageWriter::WriteAny(const Message& any) {
  const Descriptor& type = *any.GetDescriptor();
  const auto& reflection = *any.GetReflection();
  const std::string url = reflection.GetString(any, type.FindFieldByNumber(1));
  if (url.empty()) {
    out_.append("{}");
    return true;
  }
  const Descriptor* inner_type = pool_.FindMessageTypeByName(url.substr(url.rfind('/') + 1));
  const Message* prototype = inner_type == nullptr ? nullptr : factory_.GetPrototype(inner_type);
  if (prototype == nullptr) return Fail(absl::StrCat("an Any holds the unknown type ", url));
  std::unique_ptr<Message> inner(prototype->New());
  if (!inner->ParsePartialFromString(reflection.GetString(any, type.FindFieldByNumber(2)))) {
    return Fail(absl::StrCat("an Any does not hold a valid ", url));
  }
  if (++depth_ > kMaxWriteDepth_count) return Fail("it is nested too deep");
  out_.append("{\"@type\":");
  WriteJsonString(url, &out_);
  bool ok;
  if (inner_type->well_known_type() == Descriptor::WELLKNOWNTYPE_UNSPECIFIED) {
    ok = WriteMembers(*inner, false);
  } else {
    out_.append(",\"value\":");
    ok = WriteWellKnown(*inner);
  }
  out_.push_back('}');
  --depth_;
  return ok;
}

}  // namespace slipstream::edge
