#include "services/edge/transcoder/json_message_writer.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/edge/transcoder/json_writer.h"
#include "services/edge/transcoder/scalar_text.h"

namespace slipstream::edge {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

template <typename T>
void AppendInteger(T value, std::string* out) {
  char text[24];
  const auto end = std::to_chars(text, text + sizeof(text), value);
  out->append(text, end.ptr);
}

template <typename T>
void AppendQuotedInteger(T value, std::string* out) {
  out->push_back('"');
  AppendInteger(value, out);
  out->push_back('"');
}

// A map key as the text between the quotes.
std::string MapKey(const Message& entry, const FieldDescriptor& key) {
  const Reflection& reflection = *entry.GetReflection();
  switch (key.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(reflection.GetInt32(entry, &key));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(reflection.GetInt64(entry, &key));
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(reflection.GetUInt32(entry, &key));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(reflection.GetUInt64(entry, &key));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(entry, &key) ? "true" : "false";
    default:
      return reflection.GetString(entry, &key);
  }
}

}  // namespace

bool JsonMessageWriter::Fail(std::string message) {
  if (fault_.empty()) fault_ = std::move(message);
  return false;
}

absl::Status JsonMessageWriter::Finish(bool ok) const {
  if (ok) return absl::OkStatus();
  return status::Error(absl::StatusCode::kInternal, "RESPONSE_NOT_JSON",
                       absl::StrCat("the service's answer has no JSON form: ", fault_,
                                    "; report it with the correlation id"));
}

bool JsonMessageWriter::WriteMessage(const Message& message) {
  if (++depth_ > kMaxWriteDepth_count) return Fail("it is nested too deep");
  bool ok = true;
  if (message.GetDescriptor()->well_known_type() == Descriptor::WELLKNOWNTYPE_UNSPECIFIED) {
    out_.push_back('{');
    ok = WriteMembers(message, true);
    out_.push_back('}');
  } else {
    ok = WriteWellKnown(message);
  }
  --depth_;
  return ok;
}

bool JsonMessageWriter::WriteMembers(const Message& message, bool first) {
  const Descriptor& type = *message.GetDescriptor();
  const Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.has_presence() && !reflection.HasField(message, &field)) continue;
    if (!first) out_.push_back(',');
    first = false;
    out_.push_back('"');
    out_.append(field.name());
    out_.append("\":");
    if (!WriteField(message, field)) return false;
  }
  return true;
}

bool JsonMessageWriter::WriteField(const Message& message, const FieldDescriptor& field) {
  if (field.is_map()) return WriteMap(message, field);
  const Reflection& reflection = *message.GetReflection();
  const bool is_message = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  if (!field.is_repeated()) {
    return is_message ? WriteMessage(reflection.GetMessage(message, &field))
                      : WriteScalar(message, field, -1);
  }
  out_.push_back('[');
  const int count = reflection.FieldSize(message, &field);
  for (int i = 0; i < count; ++i) {
    if (i > 0) out_.push_back(',');
    const bool ok = is_message ? WriteMessage(reflection.GetRepeatedMessage(message, &field, i))
                               : WriteScalar(message, field, i);
    if (!ok) return false;
  }
  out_.push_back(']');
  return true;
}

bool JsonMessageWriter::WriteScalar(const Message& message, const FieldDescriptor& field,
                                    int index) {
  const Reflection& reflection = *message.GetReflection();
#define SLIP_GET(kind)                               \
  (index < 0 ? reflection.Get##kind(message, &field) \
             : reflection.GetRepeated##kind(message, &field, index))
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      AppendInteger(SLIP_GET(Int32), &out_);
      return true;
    case FieldDescriptor::CPPTYPE_UINT32:
      AppendInteger(SLIP_GET(UInt32), &out_);
      return true;
    case FieldDescriptor::CPPTYPE_INT64:
      AppendQuotedInteger(SLIP_GET(Int64), &out_);
      return true;
    case FieldDescriptor::CPPTYPE_UINT64:
      AppendQuotedInteger(SLIP_GET(UInt64), &out_);
      return true;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      WriteJsonDouble(SLIP_GET(Double), &out_);
      return true;
    case FieldDescriptor::CPPTYPE_FLOAT:
      WriteJsonFloat(SLIP_GET(Float), &out_);
      return true;
    case FieldDescriptor::CPPTYPE_BOOL:
      out_.append(SLIP_GET(Bool) ? "true" : "false");
      return true;
    case FieldDescriptor::CPPTYPE_ENUM: {
      const int number = SLIP_GET(EnumValue);
      const auto* value = field.enum_type()->FindValueByNumber(number);
      if (field.enum_type()->full_name() == "google.protobuf.NullValue") {
        out_.append("null");
      } else if (value == nullptr) {
        AppendInteger(number, &out_);
      } else {
        out_.push_back('"');
        out_.append(value->name());
        out_.push_back('"');
      }
      return true;
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string scratch;
      const std::string& text =
          index < 0 ? reflection.GetStringReference(message, &field, &scratch)
                    : reflection.GetRepeatedStringReference(message, &field, index, &scratch);
      if (field.type() == FieldDescriptor::TYPE_BYTES) {
        out_.push_back('"');
        AppendBase64(text, &out_);
        out_.push_back('"');
      } else {
        WriteJsonString(text, &out_);
      }
      return true;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
#undef SLIP_GET
  return Fail(absl::StrCat("field ", field.full_name(), " has an unknown type"));
}

bool JsonMessageWriter::WriteMap(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  const FieldDescriptor& key = *field.message_type()->map_key();
  const FieldDescriptor& value = *field.message_type()->map_value();
  std::vector<std::pair<std::string, const Message*>> entries;
  const int count = reflection.FieldSize(message, &field);
  entries.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
    entries.emplace_back(MapKey(entry, key), &entry);
  }
  std::sort(entries.begin(), entries.end());
  out_.push_back('{');
  bool first = true;
  for (const auto& [name, entry] : entries) {
    if (!first) out_.push_back(',');
    first = false;
    WriteJsonString(name, &out_);
    out_.push_back(':');
    if (!WriteField(*entry, value)) return false;
  }
  out_.push_back('}');
  return true;
}

}  // namespace slipstream::edge
