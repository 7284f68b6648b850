#include "services/edge/transcoder/json_writer.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "gtest/gtest.h"
#include "kinds.pb.h"
#include "services/edge/transcoder/json_reader.h"
#include "services/edge/transcoder/random_message.h"
#include "services/edge/transcoder/scalar_text.h"

namespace slipstream::edge {
namespace {

using testdata::Inner;
using testdata::Kinds;

std::string Json(const google::protobuf::Message& message) {
  std::string text;
  const absl::Status written = WriteJson(message, &text);
  return written.ok() ? text : written.ToString();
}

std::string Double(double value) {
  std::string text;
  WriteJsonDouble(value, &text);
  return text;
}

std::string Quoted(std::string_view value) {
  std::string text;
  WriteJsonString(value, &text);
  return text;
}

TEST(JsonWriter, PrintsDefaultsAndOmitsWhatIsUnset) {
  EXPECT_EQ(Json(Inner()), R"({"name":"","bar_count":0,"children":[]})");
  Kinds kinds;
  kinds.set_maybe_int32(0);
  const std::string text = Json(kinds);
  EXPECT_NE(text.find(R"("an_int64":"0")"), std::string::npos);
  EXPECT_NE(text.find(R"("color":"COLOR_UNSPECIFIED")"), std::string::npos);
  EXPECT_NE(text.find(R"("string_map":{})"), std::string::npos);
  EXPECT_NE(text.find(R"("maybe_int32":0)"), std::string::npos);
  for (const char* absent : {"maybe_string", "\"inner\"", "choice", "\"at\"", "wrapped"}) {
    EXPECT_EQ(text.find(absent), std::string::npos) << absent;
  }
}

TEST(JsonWriter, NumbersAreShortestAndReadBack) {
  EXPECT_EQ(Double(0.1), "0.1");
  EXPECT_EQ(Double(1000000), "1000000");
  EXPECT_EQ(Double(-0.0), "-0.0");
  EXPECT_EQ(Double(1e300), "1e+300");
  EXPECT_EQ(Double(std::nan("")), "\"NaN\"");
  EXPECT_EQ(Double(-std::numeric_limits<double>::infinity()), "\"-Infinity\"");
  RandomMessage random(7);
  for (int i = 0; i < 20000; ++i) {
    uint64_t bits = random.Below(std::numeric_limits<uint64_t>::max());
    double value;
    std::memcpy(&value, &bits, sizeof(value));
    if (!std::isfinite(value)) continue;
    double back;
    ASSERT_TRUE(ParseDouble(Double(value), &back));
    ASSERT_EQ(std::memcmp(&back, &value, sizeof(value)), 0) << Double(value);
  }
}

TEST(JsonWriter, StringsAreAlwaysJson) {
  EXPECT_EQ(Quoted("a\"b\\c/\n\r\t\x01\x1f\x7f"), "\"a\\\"b\\\\c/\\n\\r\\t\\u0001\\u001f\x7f\"");
  EXPECT_EQ(Quoted("é\n€\"😀"), "\"é\\n€\\\"😀\"");
  EXPECT_EQ(Quoted("a\xFFz\xC3"), "\"a\xEF\xBF\xBDz\xEF\xBF\xBD\"");
  RandomMessage random(11);
  for (int i = 0; i < 5000; ++i) {
    std::string bytes;
    for (uint64_t n = random.Below(12); n > 0; --n)
      bytes.push_back(static_cast<char>(random.Below(256)));
    ASSERT_TRUE(CheckJson(Quoted(bytes)).ok()) << Quoted(bytes);
  }
}

TEST(JsonWriter, MapsAreSortedAndMasksKeepTheirCase) {
  Kinds kinds;
  for (const char* key : {"b", "a", "c"}) (*kinds.mutable_string_map())[key] = key;
  kinds.mutable_mask()->add_paths("bar_count");
  (*kinds.mutable_args()->mutable_fields())["z"].set_number_value(3);
  (*kinds.mutable_args()->mutable_fields())["y"].set_string_value("x");
  const std::string text = Json(kinds);
  EXPECT_NE(text.find(R"("string_map":{"a":"a","b":"b","c":"c"})"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("mask":"bar_count")"), std::string::npos);
  EXPECT_NE(text.find(R"("args":{"y":"x","z":3})"), std::string::npos);
}

TEST(JsonWriter, WhatHasNoJsonFormIsAnError) {
  Kinds kinds;
  kinds.mutable_at()->set_seconds(253402300800);
  std::string text;
  EXPECT_EQ(WriteJson(kinds, &text).code(), absl::StatusCode::kInternal);
  kinds.Clear();
  (*kinds.mutable_args()->mutable_fields())["x"].set_number_value(std::nan(""));
  EXPECT_EQ(WriteJson(kinds, &text).code(), absl::StatusCode::kInternal);
  kinds.Clear();
  kinds.mutable_any()->set_type_url("x/not.Known");
  EXPECT_EQ(WriteJson(kinds, &text).code(), absl::StatusCode::kInternal);
  kinds.Clear();
  kinds.mutable_wait()->set_seconds(1);
  kinds.mutable_wait()->set_nanos(-1);
  EXPECT_EQ(WriteJson(kinds, &text).code(), absl::StatusCode::kInternal);
}

TEST(JsonWriter, UnknownEnumNumbersAreNumbersAndOneFieldIsItsValue) {
  Kinds kinds;
  kinds.set_color(static_cast<testdata::Color>(99));
  std::string text;
  ASSERT_TRUE(WriteJsonField(kinds, *Kinds::descriptor()->FindFieldByName("color"), &text).ok());
  ASSERT_TRUE(WriteJsonField(kinds, *Kinds::descriptor()->FindFieldByName("inner"), &text).ok());
  ASSERT_TRUE(
      WriteJsonField(kinds, *Kinds::descriptor()->FindFieldByName("many_int32"), &text).ok());
  EXPECT_EQ(text, "99null[]");
}

}  // namespace
}  // namespace slipstream::edge
