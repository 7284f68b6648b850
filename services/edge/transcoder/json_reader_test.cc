#include "services/edge/transcoder/json_reader.h"

#include <string>
#include <vector>

#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"
#include "kinds.pb.h"
#include "libs/status/status.h"
#include "services/edge/transcoder/json_writer.h"

namespace slipstream::edge {
namespace {

using testdata::Kinds;

struct Refusal {
  std::string text;
  std::string path;     // of the field at fault
  std::string message;  // a part of it
};

void ExpectRefused(const Refusal& refusal) {
  SCOPED_TRACE(refusal.text.substr(0, 200));
  Kinds kinds;
  const absl::Status status = ReadJson(refusal.text, &kinds);
  ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const auto violations = status::FieldViolations(status);
  ASSERT_EQ(violations.size(), 1u) << status;
  EXPECT_EQ(violations[0].field, refusal.path) << violations[0].message;
  EXPECT_NE(violations[0].message.find(refusal.message), std::string::npos)
      << violations[0].message;
}

std::string Nested(const std::string& open, const std::string& close, int count,
                   const std::string& inner) {
  std::string text;
  for (int i = 0; i < count; ++i) text += open;
  text += inner;
  for (int i = 0; i < count; ++i) text += close;
  return text;
}

TEST(JsonReader, RefusesWhatIsNotAValueOfItsField) {
  const std::vector<Refusal> refusals = {
      // Names.
      {R"({"nope":1})", "nope", "is not a field of Kinds"},
      {R"({"an_int3":1})", "an_int3", "did you mean `an_int32`?"},
      {R"({"inner":{"nam":"x"}})", "inner.nam", "did you mean `name`?"},
      {R"({"many_inner":[{},{},{"children":[{"bar":1}]}]})", "many_inner[2].children[0].bar",
       "bar_count"},
      {R"({"int_map":{"7":{"nope":1}}})", "int_map.7.nope", "known: name, bar_count, children"},
      {R"({"":1})", "", "is not a field"},
      {R"({"an_int32":1,"an_int32":2})", "an_int32", "given twice"},
      {R"({"an_int32":1,"anInt32":2})", "an_int32", "given twice"},
      {R"({"an_int32":null,"an_int32":2})", "an_int32", "given twice"},
      {R"({"string_map":{"a":"1","a":"2"}})", "string_map.a", "given twice"},
      {R"({"string_map":{"a":"1","\u0061":"2"}})", "string_map.a", "given twice"},
      {R"({"int_map":{"1":{},"1.0":{}}})", "int_map.1.0", "given twice"},
      {R"({"args":{"a":1,"b":{"c":1,"c":2}}})", "args.b.c", "given twice"},
      {R"({"renamed":"a","other-name":"b"})", "renamed", "given twice"},
      // Integers.
      {R"({"an_int32":2147483648})", "an_int32", "-2147483648 to 2147483647"},
      {R"({"an_int32":-2147483649})", "an_int32", "integer"},
      {R"({"an_int32":1.5})", "an_int32", "integer"},
      {R"({"an_int32":1e-1})", "an_int32", "integer"},
      {R"({"an_int32":1e10})", "an_int32", "integer"},
      {R"({"an_int32":1e999999999999999999999})", "an_int32", "integer"},
      {R"({"an_int32":"1 "})", "an_int32", "integer"},
      {R"({"an_int32":"+1"})", "an_int32", "integer"},
      {R"({"an_int32":"0x1"})", "an_int32", "integer"},
      {R"({"an_int32":"01"})", "an_int32", "integer"},
      {R"({"an_int32":""})", "an_int32", "integer"},
      {R"({"an_int32":true})", "an_int32", "must be a number"},
      {R"({"an_int32":{}})", "an_int32", "must be a number"},
      {R"({"an_int64":9223372036854775808})", "an_int64", "64-bit"},
      {R"({"an_int64":"-9223372036854775809"})", "an_int64", "64-bit"},
      {R"({"a_uint64":18446744073709551616})", "a_uint64", "64-bit"},
      {R"({"a_uint64":-1})", "a_uint64", "unsigned"},
      {R"({"a_uint32":4294967296})", "a_uint32", "4294967295"},
      {R"({"a_uint32":"-1"})", "a_uint32", "4294967295"},
      {R"({"many_int32":[1,2,"x"]})", "many_int32[2]", "integer"},
      // Reals.
      {R"({"a_double":1e400})", "a_double", "range of a double"},
      {R"({"a_double":-1e400})", "a_double", "range of a double"},
      {R"({"a_double":"inf"})", "a_double", "double"},
      {R"({"a_double":"nan"})", "a_double", "double"},
      {R"({"a_double":NaN})", "a_double", "a value expected"},
      {R"({"a_double":Infinity})", "a_double", "a value expected"},
      {R"({"a_double":-Infinity})", "a_double", "not a JSON number"},
      {R"({"a_float":3.5e38})", "a_float", "range of a float"},
      {R"({"value":1e400})", "value", "range of a double"},
      // Booleans, strings, bytes.
      {R"({"a_bool":"true"})", "a_bool", "true or false"},
      {R"({"a_bool":1})", "a_bool", "true or false"},
      {R"({"a_bool":0})", "a_bool", "true or false"},
      {R"({"bool_map":{"1":1}})", "bool_map.1", "as a key"},
      {R"({"a_string":1})", "a_string", "must be a string"},
      {R"({"a_string":true})", "a_string", "must be a string"},
      {R"({"a_string":["x"]})", "a_string", "must be a string"},
      {R"({"some_bytes":"a"})", "some_bytes", "base64"},
      {R"({"some_bytes":"YQ="})", "some_bytes", "base64"},
      {R"({"some_bytes":"YR=="})", "some_bytes", "base64"},
      {R"({"some_bytes":"Y Q=="})", "some_bytes", "base64"},
      {R"({"some_bytes":"Y=Q="})", "some_bytes", "base64"},
      {R"({"some_bytes":5})", "some_bytes", "base64"},
      // Enums.
      {R"({"color":"red"})", "color", "COLOR_UNSPECIFIED, RED, GREEN, BLUE"},
      {R"({"color":""})", "color", "is not one of"},
      {R"({"color":7})", "color", "is not one of"},
      {R"({"color":1.5})", "color", "is not one of"},
      {R"({"color":"1"})", "color", "must be one of"},
      {R"({"color":true})", "color", "must be one of"},
      {R"({"many_color":["RED","PINK"]})", "many_color[1]", "is not one of"},
      {R"({"enum_map":{"5":"PINK"}})", "enum_map.5", "is not one of"},
      // Shapes.
      {R"({"inner":[]})", "inner", "must be an object"},
      {R"({"inner":"x"})", "inner", "must be an object"},
      {R"({"many_inner":{}})", "many_inner", "must be a list"},
      {R"({"many_int32":1})", "many_int32", "must be a list"},
      {R"({"string_map":[]})", "string_map", "must be an object"},
      {R"({"many_int32":[null]})", "many_int32[0]", "must not be null"},
      {R"({"many_inner":[{},null]})", "many_inner[1]", "must not be null"},
      {R"({"string_map":{"a":null}})", "string_map.a", "must not be null"},
      {R"({"choice_text":"a","choice_number":1})", "choice_number", "excludes `choice_text`"},
      {R"({"choice_null":null,"choice_number":1})", "choice_number", "excludes `choice_null`"},
      // Messages with a form of their own.
      {R"({"at":"2025-02-29T00:00:00Z"})", "at", "is not a time"},
      {R"({"at":"2025-01-01T00:00:00"})", "at", "is not a time"},
      {R"({"at":"2025-01-01t00:00:00z"})", "at", "is not a time"},
      {R"({"at":"2025-01-01T24:00:00Z"})", "at", "is not a time"},
      {R"({"at":"2025-01-01T00:00:60Z"})", "at", "is not a time"},
      {R"({"at":"2025-01-01T00:00:00.Z"})", "at", "is not a time"},
      {R"({"at":"2025-01-01T00:00:00.1234567890Z"})", "at", "is not a time"},
      {R"({"at":"0000-01-01T00:00:00Z"})", "at", "is not a time"},
      {R"({"at":"0001-01-01T00:00:00+01:00"})", "at", "is not a time"},
      {R"({"at":1735689600})", "at", "must be a string"},
      {R"({"many_at":["2025-01-01T00:00:00Z","x"]})", "many_at[1]", "is not a time"},
      {R"({"wait":"1"})", "wait", "is not a duration"},
      {R"({"wait":"1.s"})", "wait", "is not a duration"},
      {R"({"wait":".5s"})", "wait", "is not a duration"},
      {R"({"wait":"315576000001s"})", "wait", "is not a duration"},
      {R"({"wait":"1 s"})", "wait", "is not a duration"},
      {R"({"mask":"a,,b"})", "mask", "is not a field mask"},
      {R"({"mask":"a,"})", "mask", "comma"},
      {R"({"mask":"a.*"})", "mask", "is not a field mask"},
      {R"({"args":[]})", "args", "must be an object"},
      {R"({"list":{}})", "list", "must be a list"},
      {R"({"any":{"name":"x"}})", "any.@type", "is missing"},
      {R"({"any":{"@type":"nowhere/not.Known"}})", "any.@type", "no known message"},
      {R"({"any":{"@type":"slipstream.edge.testdata.Inner"}})", "any.@type", "no known message"},
      {R"({"any":{"@type":"x/slipstream.edge.testdata.Inner","nope":1}})", "any.nope",
       "is not a field"},
      {R"({"any":{"@type":"x/slipstream.edge.testdata.Inner","@type":"y"}})", "any.@type", "twice"},
      {R"({"any":{"@type":"x/google.protobuf.Duration"}})", "any.value", "is missing"},
      {R"({"wrapped_int32":{"value":1}})", "wrapped_int32", "must be a number"},
      {R"({"wrapped_bool":"true"})", "wrapped_bool", "true or false"},
      // The top.
      {R"([])", "", "must be an object"},
      {R"("x")", "", "must be an object"},
      {R"(null)", "", "must be an object"},
      {"", "", "must be an object"},
  };
  for (const Refusal& refusal : refusals) ExpectRefused(refusal);
}

TEST(JsonReader, ReadsEverySpelling) {
  const std::vector<std::pair<std::string, std::string>> same = {
      {R"({"anInt32":5})", R"({"an_int32":5})"},
      {R"({"an_int32":"5"})", R"({"an_int32":5})"},
      {R"({"an_int32":5.0})", R"({"an_int32":5})"},
      {R"({"an_int32":0.5e1})", R"({"an_int32":5})"},
      {R"({"an_int32":500e-2})", R"({"an_int32":5})"},
      {R"({"an_int32":2.147483647e9})", R"({"an_int32":2147483647})"},
      {R"({"an_int32":0e99999999999999999999})", R"({"an_int32":0})"},
      {R"({"an_int32":-0})", R"({"an_int32":0})"},
      {R"({"an_int64":-9223372036854775808})", R"({"an_int64":"-9223372036854775808"})"},
      {R"({"a_uint64":18446744073709551615})", R"({"a_uint64":"18446744073709551615"})"},
      {R"({"a_uint64":1.8446744073709551615e19})", R"({"a_uint64":"18446744073709551615"})"},
      {R"({"a_double":"1.5"})", R"({"a_double":1.5})"},
      {R"({"a_double":1E+2})", R"({"a_double":100})"},
      {R"({"a_double":1e-400})", R"({"a_double":0})"},
      {R"({"a_float":3.4028235e38})", R"({"a_float":3.4028234663852886e+38})"},
      {R"({"color":1})", R"({"color":"RED"})"},
      {R"({"color":-3})", R"({"color":"BLUE"})"},
      {R"({"some_bytes":"-_8"})", R"({"some_bytes":"+/8="})"},
      {R"({"some_bytes":"YQ"})", R"({"some_bytes":"YQ=="})"},
      {R"({"a_string":null,"inner":null,"many_int32":null,"string_map":null})", "{}"},
      {R"({"wrapped_int32":null,"at":null,"choice_text":null})", "{}"},
      {R"({"other-name":"x"})", R"({"renamed":"x"})"},
      {R"({"at":"2025-01-01T01:30:00+01:30"})", R"({"at":"2025-01-01T00:00:00Z"})"},
      {R"({"at":"2025-01-01T00:00:00.1Z"})", R"({"at":"2025-01-01T00:00:00.100Z"})"},
      {R"({"at":"2024-02-29T00:00:00Z"})", R"({"at":"2024-02-29T00:00:00Z"})"},
      {R"({"wait":"-0.5s"})", R"({"wait":"-0.500s"})"},
      {R"({"mask":"fooBar,b_c.dE"})", R"({"mask":"foo_bar,b_c.d_e"})"},
      {R"({"any":{"value":"1.5s","@type":"x/google.protobuf.Duration"}})",
       R"({"any":{"@type":"x/google.protobuf.Duration","value":"1.500s"}})"},
      {R"({"any":{"bar_count":2,"@type":"x/slipstream.edge.testdata.Inner"}})",
       R"({"any":{"@type":"x/slipstream.edge.testdata.Inner","barCount":2}})"},
      {R"({"a_string":"\ud83d\ude00\/\b\f\n\r\t\"\\\u00e9"})",
       "{\"a_string\":\"😀/\\u0008\\u000c\\u000a\\u000d\\u0009\\u0022\\u005cé\"}"},
      {" \t\r\n{ \"an_int32\" : 1 , \"many_int32\" : [ 1 , 2 ] } \n",
       R"({"an_int32":1,"many_int32":[1,2]})"},
  };
  for (const auto& [text, plain] : same) {
    SCOPED_TRACE(text);
    Kinds a, b;
    const absl::Status read = ReadJson(text, &a);
    ASSERT_TRUE(read.ok()) << read;
    ASSERT_TRUE(ReadJson(plain, &b).ok());
    std::string a_json, b_json;
    ASSERT_TRUE(WriteJson(a, &a_json).ok());
    ASSERT_TRUE(WriteJson(b, &b_json).ok());
    EXPECT_EQ(a_json, b_json);
  }
}

TEST(JsonReader, NullIsAValueOfValueAlone) {
  Kinds kinds;
  ASSERT_TRUE(ReadJson(R"({"value":null,"many_value":[null],"value_map":{"a":null},"a_null":null,
                           "choice_null":null,"maybe_int32":null,"args":{"x":null}})",
                       &kinds)
                  .ok());
  EXPECT_EQ(kinds.value().kind_case(), google::protobuf::Value::kNullValue);
  EXPECT_EQ(kinds.many_value(0).kind_case(), google::protobuf::Value::kNullValue);
  EXPECT_EQ(kinds.value_map().at("a").kind_case(), google::protobuf::Value::kNullValue);
  EXPECT_EQ(kinds.choice_case(), Kinds::kChoiceNull);
  EXPECT_FALSE(kinds.has_maybe_int32());
}

TEST(JsonReader, DepthIsBoundedInTheText) {
  // The top object and 63 more are 64; the wire's bound is for Struct and Value (next test).
  const auto deep = [](int count) { return Nested("{\"self\":", "}", count, "{}"); };
  Kinds kinds;
  EXPECT_TRUE(ReadJson(deep(kMaxJsonDepth_count - 1), &kinds).ok());
  kinds.Clear();
  const absl::Status refused = ReadJson(deep(kMaxJsonDepth_count), &kinds);
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(refused.message().find("deeper than 64"), absl::string_view::npos) << refused;
  EXPECT_TRUE(CheckJson(Nested("[", "]", kMaxJsonDepth_count, "")).ok());
  EXPECT_FALSE(CheckJson(Nested("[", "]", kMaxJsonDepth_count + 1, "")).ok());
  EXPECT_FALSE(CheckJson(Nested("[", "]", 1000000, "")).ok());
}

TEST(JsonReader, WhatIsAcceptedParsesFromTheWire) {
  for (const auto& [open, close] :
       {std::pair<std::string, std::string>{"{\"a\":", "}"}, {"[", "]"}}) {
    bool refused = false;
    int accepted = 0;
    for (int depth = 1; depth < kMaxJsonDepth_count; ++depth) {
      Kinds kinds;
      const absl::Status read =
          ReadJson("{\"value\":" + Nested(open, close, depth, "1") + "}", &kinds);
      if (read.ok()) {
        Kinds back;
        EXPECT_TRUE(back.ParseFromString(kinds.SerializeAsString())) << open << " " << depth;
        EXPECT_FALSE(refused) << "accepted deeper than refused";
        accepted = depth;
      } else {
        refused = true;
      }
    }
    EXPECT_GE(accepted, 30) << open;
    EXPECT_TRUE(refused) << open;
  }
}

TEST(JsonReader, OneFieldAlone) {
  Kinds kinds;
  const auto* type = Kinds::descriptor();
  EXPECT_TRUE(ReadJsonField(R"({"name":"x"})", *type->FindFieldByName("inner"), &kinds).ok());
  EXPECT_TRUE(ReadJsonField("[1,2]", *type->FindFieldByName("many_int32"), &kinds).ok());
  EXPECT_TRUE(ReadJsonField(R"({"a":"b"})", *type->FindFieldByName("string_map"), &kinds).ok());
  EXPECT_EQ(kinds.inner().name(), "x");
  EXPECT_EQ(kinds.many_int32_size(), 2);
  EXPECT_EQ(kinds.string_map().at("a"), "b");
  const absl::Status wrong = ReadJsonField("[1,{}]", *type->FindFieldByName("many_int32"), &kinds);
  EXPECT_EQ(status::FieldViolations(wrong)[0].field, "many_int32[1]");
  EXPECT_FALSE(ReadJsonField("[1] 2", *type->FindFieldByName("many_int32"), &kinds).ok());
}

}  // namespace
}  // namespace slipstream::edge
