#include "services/task_queue/json_schema.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <string>

namespace slipstream::task_queue {
namespace {

google::protobuf::Struct Parse(const std::string& json) {
  google::protobuf::Struct out;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, &out).ok()) << json;
  return out;
}

JsonSchema Schema(const std::string& json) {
  auto schema = JsonSchema::Compile(Parse(json));
  EXPECT_TRUE(schema.ok()) << schema.status();
  return *schema;
}

// The first violation as "path: message", or "".
std::string Wrong(const JsonSchema& schema, const std::string& args) {
  const auto found = schema.Check(Parse(args));
  return found.empty() ? "" : found[0].field + ": " + found[0].message;
}

TEST(JsonSchema, ChecksObjects) {
  const JsonSchema schema = Schema(R"({
    "type": "object", "required": ["prompt"], "additionalProperties": false,
    "properties": {"prompt": {"type": "string", "minLength": 2, "maxLength": 4},
                   "template": {"enum": ["standard", "technical"]},
                   "count": {"type": "integer", "minimum": 1, "maximum": 3},
                   "tags": {"type": "array", "maxItems": 2, "items": {"type": "string"}}}})");
  EXPECT_EQ(
      Wrong(schema, R"({"prompt": "hey", "template": "technical", "count": 2, "tags": ["a"]})"),
      "");
  EXPECT_EQ(Wrong(schema, "{}"), "args.prompt: is required");
  EXPECT_EQ(Wrong(schema, R"({"prompt": 1})"), "args.prompt: must be of type string");
  EXPECT_EQ(Wrong(schema, R"({"prompt": "h"})"), "args.prompt: needs at least 2 characters");
  EXPECT_EQ(Wrong(schema, R"({"prompt": "äöüß"})"), "") << "characters, not bytes";
  EXPECT_EQ(Wrong(schema, R"({"prompt": "hey", "promt": ""})"),
            "args.promt: is not an argument of this task type");
  EXPECT_EQ(Wrong(schema, R"({"prompt": "hey", "template": "x"})"),
            "args.template: must be one of: standard, technical");
  EXPECT_EQ(Wrong(schema, R"({"prompt": "hey", "count": 1.5})"),
            "args.count: must be of type integer");
  EXPECT_EQ(Wrong(schema, R"({"prompt": "hey", "count": 4})"), "args.count: must be at most 3");
  EXPECT_EQ(Wrong(schema, R"({"prompt": "hey", "tags": ["a", 2]})"),
            "args.tags[1]: must be of type string");
  EXPECT_EQ(Wrong(schema, R"({"prompt": "hey", "tags": ["a", "b", "c"]})"),
            "args.tags: may have at most 2 items");
}

TEST(JsonSchema, ExactlyOneOfNamesTheAlternatives) {
  const JsonSchema schema =
      Schema(R"({"oneOf": [{"required": ["html"]}, {"required": ["markdown"]}]})");
  EXPECT_EQ(Wrong(schema, R"({"html": ""})"), "");
  EXPECT_EQ(Wrong(schema, "{}"), "args: must match exactly one of: html, markdown");
  EXPECT_EQ(Wrong(schema, R"({"html": "", "markdown": ""})"),
            "args: must match exactly one of: html, markdown");
}

TEST(JsonSchema, AnEmptySchemaAcceptsEveryObject) {
  EXPECT_EQ(Wrong(Schema("{}"), R"({"a": [1, {"b": null}]})"), "");
}

TEST(JsonSchema, RefusesKeywordsThatItWouldNotCheck) {
  const auto schema = JsonSchema::Compile(Parse(R"({"properties": {"a": {"pattern": "^x"}}})"));
  ASSERT_FALSE(schema.ok());
  EXPECT_EQ(status::FieldViolations(schema.status())[0].field, "args_schema.properties.a.pattern");
}

TEST(JsonSchema, RefusesSchemasThatAreTooDeep) {
  google::protobuf::Struct schema;
  for (int i = 0; i < kMaxSchemaDepth + 2; ++i) {
    google::protobuf::Struct outer;
    *(*outer.mutable_fields())["not"].mutable_struct_value() = schema;
    schema = outer;
  }
  EXPECT_FALSE(JsonSchema::Compile(schema).ok());
}

TEST(JsonSchema, ViolationsAreBounded) {
  const JsonSchema schema = Schema(R"({"additionalProperties": false})");
  std::string args = "{";
  for (int i = 0; i < 100; ++i)
    args += (i ? "," : "") + std::string("\"a") + std::to_string(i) + "\":1";
  EXPECT_EQ(schema.Check(Parse(args + "}")).size(), status::kMaxViolationCount);
}

TEST(JsonSchema, SensitiveValuesAreShownAsStars) {
  const JsonSchema schema = Schema(R"({"properties": {
      "url": {}, "auth": {"properties": {"token": {"sensitive": true}}},
      "headers": {"additionalProperties": {"sensitive": true}}}})");
  auto args = Parse(R"({"url": "u", "auth": {"token": "t"}, "headers": {"x": "y"}})");
  schema.Redact(args);
  EXPECT_EQ(args.fields().at("url").string_value(), "u");
  EXPECT_EQ(args.fields().at("auth").struct_value().fields().at("token").string_value(), "***");
  EXPECT_EQ(args.fields().at("headers").struct_value().fields().at("x").string_value(), "***");
}

}  // namespace
}  // namespace slipstream::task_queue
