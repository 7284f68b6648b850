#include "services/edge/transcoder/openapi_schema.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "google/api/field_behavior.pb.h"
#include "services/edge/transcoder/scalar_text.h"

namespace slipstream::edge {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;

OrderedJson Ref(const std::string& full_name) {
  return {{"$ref", "#/components/schemas/" + full_name}};
}

bool Has(const FieldDescriptor& field, google::api::FieldBehavior wanted) {
  const auto& options = field.options();
  for (int i = 0; i < options.ExtensionSize(google::api::field_behavior); ++i) {
    if (options.GetExtension(google::api::field_behavior, i) == wanted) return true;
  }
  return false;
}

OrderedJson Scalar(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return {{"type", "integer"}, {"format", "int32"}};
    case FieldDescriptor::CPPTYPE_UINT32:
      return {{"type", "integer"}, {"format", "int64"}, {"minimum", 0}};
    case FieldDescriptor::CPPTYPE_INT64:
      return {{"type", "string"}, {"format", "int64"}};
    case FieldDescriptor::CPPTYPE_UINT64:
      return {{"type", "string"}, {"format", "uint64"}};
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return {{"type", "number"}, {"format", "double"}};
    case FieldDescriptor::CPPTYPE_FLOAT:
      return {{"type", "number"}, {"format", "float"}};
    case FieldDescriptor::CPPTYPE_BOOL:
      return {{"type", "boolean"}};
    default:
      break;
  }
  if (field.type() == FieldDescriptor::TYPE_BYTES) {
    return {{"type", "string"}, {"contentEncoding", "base64"}};
  }
  return {{"type", "string"}};
}

// Messages whose JSON is not an object of their fields. Null for all others.
OrderedJson WellKnown(const Descriptor& type) {
  switch (type.well_known_type()) {
    case Descriptor::WELLKNOWNTYPE_TIMESTAMP:
      return {{"type", "string"}, {"format", "date-time"}};
    case Descriptor::WELLKNOWNTYPE_DURATION:
      return {
          {"type", "string"}, {"pattern", "^-?[0-9]+(\\.[0-9]{1,9})?s$"}, {"examples", {"1.5s"}}};
    case Descriptor::WELLKNOWNTYPE_FIELDMASK:
      return {{"type", "string"}, {"description", "Field paths separated by commas."}};
    case Descriptor::WELLKNOWNTYPE_STRUCT:
      return {{"type", "object"}, {"additionalProperties", true}};
    case Descriptor::WELLKNOWNTYPE_VALUE:
      return OrderedJson::object();  // anything
    case Descriptor::WELLKNOWNTYPE_LISTVALUE:
      return {{"type", "array"}, {"items", OrderedJson::object()}};
    case Descriptor::WELLKNOWNTYPE_ANY:
      return {{"type", "object"},
              {"properties", {{"@type", {{"type", "string"}}}}},
              {"required", {"@type"}},
              {"additionalProperties", true}};
    default:
      if (IsWrapper(type)) return Scalar(*type.FindFieldByNumber(1));
      return nullptr;
  }
}

}  // namespace

OrderedJson SchemaCollection::OfMessage(const Descriptor& type) {
  if (OrderedJson known = WellKnown(type); !known.is_null()) return known;
  if (!components_.contains(type.full_name())) {
    components_[type.full_name()] = nullptr;  // first, so that a recursive type ends
    components_[type.full_name()] = ObjectOf(type);
  }
  return Ref(type.full_name());
}

OrderedJson SchemaCollection::ObjectOf(const Descriptor& type) {
  OrderedJson schema = {{"type", "object"}};
  if (std::string comment = CommentOf(type); !comment.empty()) schema["description"] = comment;
  OrderedJson properties = OrderedJson::object();
  OrderedJson required = OrderedJson::array();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    properties[field.name()] = OfField(field);
    if (Has(field, google::api::REQUIRED)) required.push_back(field.name());
  }
  schema["properties"] = std::move(properties);
  if (!required.empty()) schema["required"] = std::move(required);
  schema["additionalProperties"] = false;
  return schema;
}

OrderedJson SchemaCollection::OfEnum(const EnumDescriptor& type) {
  if (type.full_name() == "google.protobuf.NullValue") return {{"type", "null"}};
  if (!components_.contains(type.full_name())) {
    OrderedJson schema = {{"type", "string"}, {"enum", OrderedJson::array()}};
    std::string description = CommentOf(type);
    for (int i = 0; i < type.value_count(); ++i) {
      schema["enum"].push_back(type.value(i)->name());
      if (std::string comment = CommentOf(*type.value(i)); !comment.empty()) {
        absl::StrAppend(&description, description.empty() ? "" : "\n", "- `", type.value(i)->name(),
                        "`: ", comment);
      }
    }
    if (!description.empty()) schema["description"] = description;
    components_[type.full_name()] = std::move(schema);
  }
  return Ref(type.full_name());
}

OrderedJson SchemaCollection::OfElement(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return OfMessage(*field.message_type());
    case FieldDescriptor::CPPTYPE_ENUM:
      return OfEnum(*field.enum_type());
    default:
      return Scalar(field);
  }
}

OrderedJson SchemaCollection::OfField(const FieldDescriptor& field) {
  OrderedJson schema;
  if (field.is_map()) {
    schema = {{"type", "object"},
              {"additionalProperties", OfElement(*field.message_type()->map_value())}};
  } else if (field.is_repeated()) {
    schema = {{"type", "array"}, {"items", OfElement(field)}};
  } else {
    schema = OfElement(field);
  }
  if (std::string comment = CommentOf(field); !comment.empty()) schema["description"] = comment;
  if (Has(field, google::api::OUTPUT_ONLY)) schema["readOnly"] = true;
  if (Has(field, google::api::INPUT_ONLY)) schema["writeOnly"] = true;
  if (field.options().deprecated()) schema["deprecated"] = true;
  return schema;
}

template <typename D>
std::string CommentOf(const D& descriptor) {
  google::protobuf::SourceLocation location;
  if (!descriptor.GetSourceLocation(&location)) return "";
  const std::string& raw =
      location.leading_comments.empty() ? location.trailing_comments : location.leading_comments;
  std::string text;
  for (absl::string_view line : absl::StrSplit(raw, '\n')) {
    absl::ConsumePrefix(&line, " ");
    absl::StrAppend(&text, text.empty() ? "" : "\n", absl::StripTrailingAsciiWhitespace(line));
  }
  return std::string(absl::StripAsciiWhitespace(text));
}

template std::string CommentOf(const google::protobuf::Descriptor&);
template std::string CommentOf(const google::protobuf::FieldDescriptor&);
template std::string CommentOf(const google::protobuf::EnumDescriptor&);
template std::string CommentOf(const google::protobuf::EnumValueDescriptor&);
template std::string CommentOf(const google::protobuf::MethodDescriptor&);
template std::string CommentOf(const google::protobuf::ServiceDescriptor&);

}  // namespace slipstream::edge
