#include "services/task_queue/json_schema.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/task_queue/json_schema_node.h"

namespace slipstream::task_queue {

namespace {

using google::protobuf::Struct;
using google::protobuf::Value;
using Node = JsonSchema::Node;
using Violations = std::vector<status::FieldViolation>;

bool Full(const Violations& out) { return out.size() >= status::kMaxViolationCount; }

void Say(Violations& out, const std::string& path, std::string message) {
  if (!Full(out)) out.push_back({path, std::move(message)});
}

bool HasType(const Value& value, absl::string_view type) {
  switch (value.kind_case()) {
    case Value::kStructValue:
      return type == "object";
    case Value::kListValue:
      return type == "array";
    case Value::kStringValue:
      return type == "string";
    case Value::kBoolValue:
      return type == "boolean";
    case Value::kNumberValue:
      return type == "number" ||
             (type == "integer" && value.number_value() == std::floor(value.number_value()));
    default:
      return type == "null";
  }
}

bool Same(const Value& a, const Value& b, int depth) {
  if (a.kind_case() != b.kind_case() || depth > kMaxSchemaDepth) return false;
  switch (a.kind_case()) {
    case Value::kStructValue: {
      const auto& x = a.struct_value().fields();
      const auto& y = b.struct_value().fields();
      return x.size() == y.size() && std::all_of(x.begin(), x.end(), [&](const auto& field) {
               auto it = y.find(field.first);
               return it != y.end() && Same(field.second, it->second, depth + 1);
             });
    }
    case Value::kListValue: {
      const auto& x = a.list_value().values();
      const auto& y = b.list_value().values();
      return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                        [&](const Value& p, const Value& q) { return Same(p, q, depth + 1); });
    }
    case Value::kStringValue:
      return a.string_value() == b.string_value();
    case Value::kBoolValue:
      return a.bool_value() == b.bool_value();
    case Value::kNumberValue:
      return a.number_value() == b.number_value();
    default:
      return true;
  }
}

// Characters, not bytes: continuation bytes are not counted.
size_t LengthOf(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

void CheckValue(const Node& node, const Value& value, const std::string& path, int depth,
                Violations& out);

void CheckCount(size_t count, const std::optional<size_t>& least, const std::optional<size_t>& most,
                absl::string_view unit, const std::string& path, Violations& out) {
  if (least && count < *least) Say(out, path, absl::StrCat("needs at least ", *least, " ", unit));
  if (most && count > *most) Say(out, path, absl::StrCat("may have at most ", *most, " ", unit));
}

void CheckObject(const Node& node, const Struct& object, const std::string& path, int depth,
                 Violations& out) {
  for (const std::string& name : node.required) {
    if (!object.fields().contains(name)) Say(out, absl::StrCat(path, ".", name), "is required");
  }
  for (const auto& [name, value] : object.fields()) {
    auto property = node.properties.find(name);
    const std::string below = absl::StrCat(path, ".", name);
    if (property != node.properties.end()) {
      CheckValue(*property->second, value, below, depth + 1, out);
    } else if (node.additional != nullptr && node.additional->never) {
      Say(out, below, "is not an argument of this task type");
    } else if (node.additional != nullptr) {
      CheckValue(*node.additional, value, below, depth + 1, out);
    }
  }
  CheckCount(object.fields().size(), node.min_properties, node.max_properties, "properties", path,
             out);
}

void CheckNumber(const Node& node, double number, const std::string& path, Violations& out) {
  if (node.minimum && number < *node.minimum) {
    Say(out, path, absl::StrCat("must be at least ", *node.minimum));
  }
  if (node.maximum && number > *node.maximum) {
    Say(out, path, absl::StrCat("must be at most ", *node.maximum));
  }
  if (node.exclusive_minimum && number <= *node.exclusive_minimum) {
    Say(out, path, absl::StrCat("must be above ", *node.exclusive_minimum));
  }
  if (node.exclusive_maximum && number >= *node.exclusive_maximum) {
    Say(out, path, absl::StrCat("must be below ", *node.exclusive_maximum));
  }
  if (node.multiple_of && *node.multiple_of > 0 && std::remainder(number, *node.multiple_of) != 0) {
    Say(out, path, absl::StrCat("must be a multiple of ", *node.multiple_of));
  }
}

int CountMatches(const std::vector<Node::Ptr>& schemas, const Value& value, const std::string& path,
                 int depth) {
  int count = 0;
  for (const auto& schema : schemas) {
    Violations found;
    CheckValue(*schema, value, path, depth + 1, found);
    if (found.empty()) ++count;
  }
  return count;
}

// "exactly one of text, file" says more than "matches 0 of 2 schemas".
std::string RequiredNames(const std::vector<Node::Ptr>& schemas) {
  std::vector<std::string> names;
  for (const auto& schema : schemas) names.push_back(absl::StrJoin(schema->required, " and "));
  names.erase(std::remove(names.begin(), names.end(), ""), names.end());
  return names.empty() ? "its alternatives" : absl::StrJoin(names, ", ");
}

void CheckCombined(const Node& node, const Value& value, const std::string& path, int depth,
                   Violations& out) {
  for (const auto& schema : node.all_of) CheckValue(*schema, value, path, depth + 1, out);
  if (!node.one_of.empty() && CountMatches(node.one_of, value, path, depth) != 1) {
    Say(out, path, absl::StrCat("must match exactly one of: ", RequiredNames(node.one_of)));
  }
  if (!node.any_of.empty() && CountMatches(node.any_of, value, path, depth) == 0) {
    Say(out, path, absl::StrCat("must match at least one of: ", RequiredNames(node.any_of)));
  }
  if (node.none_of != nullptr) {
    Violations found;
    CheckValue(*node.none_of, value, path, depth + 1, found);
    if (found.empty()) Say(out, path, "has a form that is excluded");
  }
}

void CheckValue(const Node& node, const Value& value, const std::string& path, int depth,
                Violations& out) {
  if (Full(out)) return;
  if (depth > kMaxSchemaDepth) return Say(out, path, "is nested too deeply");
  if (node.never) return Say(out, path, "is not allowed");
  if (!node.types.empty() &&
      std::none_of(node.types.begin(), node.types.end(),
                   [&](const std::string& type) { return HasType(value, type); })) {
    return Say(out, path, absl::StrCat("must be of type ", absl::StrJoin(node.types, " or ")));
  }
  if (!node.enumeration.empty() &&
      std::none_of(node.enumeration.begin(), node.enumeration.end(),
                   [&](const Value& allowed) { return Same(value, allowed, 0); })) {
    std::vector<std::string> names;
    for (const Value& allowed : node.enumeration) {
      if (allowed.kind_case() == Value::kStringValue) names.push_back(allowed.string_value());
    }
    Say(out, path,
        names.empty() ? "is not one of the allowed values"
                      : absl::StrCat("must be one of: ", absl::StrJoin(names, ", ")));
  }
  if (value.kind_case() == Value::kStructValue) {
    CheckObject(node, value.struct_value(), path, depth, out);
  }
  if (value.kind_case() == Value::kListValue) {
    const auto& values = value.list_value().values();
    CheckCount(static_cast<size_t>(values.size()), node.min_items, node.max_items, "items", path,
               out);
    for (int i = 0; node.items != nullptr && i < values.size() && !Full(out); ++i) {
      CheckValue(*node.items, values[i], absl::StrCat(path, "[", i, "]"), depth + 1, out);
    }
  }
  if (value.kind_case() == Value::kStringValue) {
    CheckCount(LengthOf(value.string_value()), node.min_length, node.max_length, "characters", path,
               out);
  }
  if (value.kind_case() == Value::kNumberValue) {
    CheckNumber(node, value.number_value(), path, out);
  }
  CheckCombined(node, value, path, depth, out);
}

using Visit = std::function<void(Value&)>;

void VisitObject(const Node& node, Struct& object, int depth, const Visit& visit);

void VisitValue(const Node& node, Value& value, int depth, const Visit& visit) {
  if (IsSealed(value)) return;
  if (node.sensitive || depth > kMaxSchemaDepth) {
    visit(value);
    return;
  }
  if (value.kind_case() == Value::kStructValue) {
    VisitObject(node, *value.mutable_struct_value(), depth, visit);
  }
  if (value.kind_case() == Value::kListValue && node.items != nullptr) {
    for (Value& item : *value.mutable_list_value()->mutable_values()) {
      VisitValue(*node.items, item, depth + 1, visit);
    }
  }
}

// A property may be marked in an alternative alone, so all of them are looked at.
void VisitObject(const Node& node, Struct& object, int depth, const Visit& visit) {
  for (auto& [name, value] : *object.mutable_fields()) {
    auto property = node.properties.find(name);
    if (property != node.properties.end()) {
      VisitValue(*property->second, value, depth + 1, visit);
    } else if (node.additional != nullptr) {
      VisitValue(*node.additional, value, depth + 1, visit);
    }
  }
  for (const auto* alternatives : {&node.one_of, &node.any_of, &node.all_of}) {
    for (const auto& schema : *alternatives) {
      if (depth <= kMaxSchemaDepth) VisitObject(*schema, object, depth + 1, visit);
    }
  }
}

bool HasSensitive(const Node& node) {
  if (node.sensitive) return true;
  for (const auto& [name, property] : node.properties) {
    if (HasSensitive(*property)) return true;
  }
  for (const auto* one : {&node.additional, &node.items}) {
    if (*one != nullptr && HasSensitive(**one)) return true;
  }
  for (const auto* alternatives : {&node.one_of, &node.any_of, &node.all_of}) {
    for (const auto& schema : *alternatives) {
      if (HasSensitive(*schema)) return true;
    }
  }
  return false;
}

void RedactSealed(Value& value, int depth) {
  if (IsSealed(value) || depth > 100) {  // as deep as protobuf parses
    value.set_string_value("***");
    return;
  }
  if (value.has_struct_value()) {
    for (auto& [name, inner] : *value.mutable_struct_value()->mutable_fields()) {
      RedactSealed(inner, depth + 1);
    }
  }
  if (value.has_list_value()) {
    for (Value& inner : *value.mutable_list_value()->mutable_values()) {
      RedactSealed(inner, depth + 1);
    }
  }
}

}  // namespace

absl::StatusOr<JsonSchema> JsonSchema::Compile(const Struct& schema) {
  auto node = CompileSchema(schema, "args_schema", 0);
  if (!node.ok()) return node.status();
  return JsonSchema(std::shared_ptr<const Node>(std::move(*node)));
}

std::vector<status::FieldViolation> JsonSchema::Check(const Struct& args) const {
  Violations out;
  // Lent to a Value, which a schema is about, and only read there: a copy would cost as much as the
  // check.
  Value value;
  value.unsafe_arena_set_allocated_struct_value(const_cast<Struct*>(&args));
  CheckValue(*root_, value, "args", 0, out);
  (void)value.unsafe_arena_release_struct_value();
  return out;
}

bool IsSealed(const Value& value) {
  if (value.kind_case() != Value::kStructValue) return false;
  const auto& fields = value.struct_value().fields();
  return fields.size() == 1 && fields.begin()->first == kSealedField &&
         fields.begin()->second.kind_case() == Value::kStringValue;
}

bool JsonSchema::has_sensitive() const { return HasSensitive(*root_); }

void JsonSchema::VisitSensitive(Struct& args, const std::function<void(Value&)>& visit) const {
  VisitObject(*root_, args, 0, visit);
}

void JsonSchema::Redact(Struct& args) const {
  for (auto& [name, value] : *args.mutable_fields()) RedactSealed(value, 0);
  VisitSensitive(args, [](Value& value) { value.set_string_value("***"); });
}

}  // namespace slipstream::task_queue
