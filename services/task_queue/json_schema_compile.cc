#include <cmath>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/task_queue/json_schema_node.h"

namespace slipstream::task_queue {

namespace {

using google::protobuf::Struct;
using google::protobuf::Value;
using Node = JsonSchema::Node;

const std::set<std::string>& Annotations() {
  static const auto& names = *new std::set<std::string>{
      "title",   "description", "default",  "examples", "format",   "deprecated",
      "$schema", "$id",         "$comment", "readOnly", "writeOnly"};
  return names;
}

absl::Status Wrong(const std::string& path, absl::string_view expected) {
  return status::FieldError(path, absl::StrCat("must be ", expected));
}

absl::StatusOr<Node::Ptr> CompileValue(const Value& value, const std::string& path, int depth) {
  if (value.kind_case() == Value::kBoolValue) {
    auto node = std::make_unique<Node>();
    node->never = !value.bool_value();
    return node;
  }
  if (value.kind_case() != Value::kStructValue) return Wrong(path, "a schema");
  return CompileSchema(value.struct_value(), path, depth + 1);
}

absl::Status ReadStrings(const Value& value, const std::string& path,
                         std::vector<std::string>& out) {
  if (value.kind_case() == Value::kStringValue) {
    out.push_back(value.string_value());
    return absl::OkStatus();
  }
  if (value.kind_case() != Value::kListValue) return Wrong(path, "a list of strings");
  for (const Value& item : value.list_value().values()) {
    if (item.kind_case() != Value::kStringValue) return Wrong(path, "a list of strings");
    out.push_back(item.string_value());
  }
  return absl::OkStatus();
}

absl::Status ReadTypes(const Value& value, const std::string& path, Node& node) {
  static const auto& known = *new std::set<std::string>{"object",  "array",   "string", "number",
                                                        "integer", "boolean", "null"};
  if (absl::Status read = ReadStrings(value, path, node.types); !read.ok()) return read;
  for (const std::string& type : node.types) {
    if (!known.contains(type)) return Wrong(path, "a JSON type");
  }
  return absl::OkStatus();
}

absl::Status ReadSchemas(const Value& value, const std::string& path, int depth,
                         std::vector<Node::Ptr>& out) {
  if (value.kind_case() != Value::kListValue || value.list_value().values().empty()) {
    return Wrong(path, "a list of schemas");
  }
  for (const Value& item : value.list_value().values()) {
    auto node = CompileValue(item, path, depth);
    if (!node.ok()) return node.status();
    out.push_back(*std::move(node));
  }
  return absl::OkStatus();
}

absl::Status ReadProperties(const Value& value, const std::string& path, int depth, Node& node) {
  if (value.kind_case() != Value::kStructValue) return Wrong(path, "an object of schemas");
  for (const auto& [name, schema] : value.struct_value().fields()) {
    auto property = CompileValue(schema, absl::StrCat(path, ".", name), depth);
    if (!property.ok()) return property.status();
    node.properties[name] = *std::move(property);
  }
  return absl::OkStatus();
}

absl::Status ReadOne(const Value& value, const std::string& path, int depth, Node::Ptr& out) {
  auto node = CompileValue(value, path, depth);
  if (!node.ok()) return node.status();
  out = *std::move(node);
  return absl::OkStatus();
}

absl::Status ReadNumber(const Value& value, const std::string& path, std::optional<double>& out) {
  if (value.kind_case() != Value::kNumberValue) return Wrong(path, "a number");
  out = value.number_value();
  return absl::OkStatus();
}

absl::Status ReadCount(const Value& value, const std::string& path, std::optional<size_t>& out) {
  const double number = value.number_value();
  if (value.kind_case() != Value::kNumberValue || number < 0 || number > 1e9 ||
      number != std::floor(number)) {
    return Wrong(path, "a whole number from 0 on");
  }
  out = static_cast<size_t>(number);
  return absl::OkStatus();
}

absl::Status ReadKeyword(const std::string& key, const Value& value, const std::string& path,
                         int depth, Node& node) {
  if (key == "type") return ReadTypes(value, path, node);
  if (key == "properties") return ReadProperties(value, path, depth, node);
  if (key == "required") return ReadStrings(value, path, node.required);
  if (key == "additionalProperties") return ReadOne(value, path, depth, node.additional);
  if (key == "items") return ReadOne(value, path, depth, node.items);
  if (key == "oneOf") return ReadSchemas(value, path, depth, node.one_of);
  if (key == "anyOf") return ReadSchemas(value, path, depth, node.any_of);
  if (key == "allOf") return ReadSchemas(value, path, depth, node.all_of);
  if (key == "not") return ReadOne(value, path, depth, node.none_of);
  if (key == "minimum") return ReadNumber(value, path, node.minimum);
  if (key == "maximum") return ReadNumber(value, path, node.maximum);
  if (key == "exclusiveMinimum") return ReadNumber(value, path, node.exclusive_minimum);
  if (key == "exclusiveMaximum") return ReadNumber(value, path, node.exclusive_maximum);
  if (key == "multipleOf") return ReadNumber(value, path, node.multiple_of);
  if (key == "minLength") return ReadCount(value, path, node.min_length);
  if (key == "maxLength") return ReadCount(value, path, node.max_length);
  if (key == "minItems") return ReadCount(value, path, node.min_items);
  if (key == "maxItems") return ReadCount(value, path, node.max_items);
  if (key == "minProperties") return ReadCount(value, path, node.min_properties);
  if (key == "maxProperties") return ReadCount(value, path, node.max_properties);
  if (key == "const") {
    node.enumeration.push_back(value);
    return absl::OkStatus();
  }
  if (key == "enum") {
    if (value.kind_case() != Value::kListValue) return Wrong(path, "a list of values");
    node.enumeration.assign(value.list_value().values().begin(), value.list_value().values().end());
    return absl::OkStatus();
  }
  if (key == "sensitive") {
    if (value.kind_case() != Value::kBoolValue) return Wrong(path, "true or false");
    node.sensitive = value.bool_value();
    return absl::OkStatus();
  }
  if (Annotations().contains(key)) return absl::OkStatus();
  return status::FieldError(
      path, "is no keyword of the supported subset; see the task queue's README for the list");
}

}  // namespace

absl::StatusOr<Node::Ptr> CompileSchema(const Struct& schema, const std::string& path, int depth) {
  if (depth > kMaxSchemaDepth) {
    return status::FieldError(path, absl::StrCat("is nested deeper than ", kMaxSchemaDepth));
  }
  auto node = std::make_unique<Node>();
  for (const auto& [key, value] : schema.fields()) {
    absl::Status read = ReadKeyword(key, value, absl::StrCat(path, ".", key), depth, *node);
    if (!read.ok()) return read;
  }
  return node;
}

}  // namespace slipstream::task_queue
