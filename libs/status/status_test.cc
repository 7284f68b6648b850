#include "libs/status/status.h"

#include <gtest/gtest.h>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace slipstream::status {
namespace {

using absl::StatusCode;

TEST(ErrorTest, CarriesReasonDomainAndMetadata) {
  const absl::Status status = Error(StatusCode::kNotFound, "TASK_NOT_FOUND",
                                    "No such task. List yours.", {{"task_id", "t-1"}, {"n", "2"}});
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "No such task. List yours.");
  const auto info = GetErrorInfo(status);
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->reason(), "TASK_NOT_FOUND");
  EXPECT_EQ(info->domain(), "slipstream");
  EXPECT_EQ(Reason(status), "TASK_NOT_FOUND");
  EXPECT_EQ(Metadata(status, "task_id"), "t-1");
  EXPECT_EQ(Metadata(status, "n"), "2");
  EXPECT_EQ(Metadata(status, "other"), std::nullopt);
}

TEST(ErrorTest, IsNeverOk) {
  EXPECT_EQ(Error(StatusCode::kOk, "ODD", "?").code(), StatusCode::kUnknown);
}

TEST(ErrorTest, BoundsEveryPart) {
  MetadataMap metadata;
  for (int i = 0; i < 100; ++i) metadata[absl::StrCat("key", i)] = std::string(10000, 'v');
  const absl::Status status =
      Error(StatusCode::kAborted, std::string(1000, 'R'), std::string(100000, 'm'), metadata);
  EXPECT_EQ(status.message().size(), kMaxMessageBytes);
  EXPECT_EQ(Reason(status).size(), 63u);
  const auto info = GetErrorInfo(status);
  ASSERT_TRUE(info.has_value());
  size_t bytes = 0;
  for (const auto& [key, value] : info->metadata()) {
    EXPECT_LE(value.size(), kMaxMetadataValueBytes);
    bytes += key.size() + value.size();
  }
  EXPECT_GT(bytes, 0u);
  EXPECT_LE(bytes, kMaxMetadataBytes);
}

TEST(FieldErrorTest, NamesTheField) {
  const absl::Status status = FieldError("options.delay_ms", "must be at least 0");
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "options.delay_ms: must be at least 0");
  EXPECT_EQ(Reason(status), "INVALID_FIELD");
  EXPECT_EQ(Metadata(status, "field"), "options.delay_ms");
  const auto violations = FieldViolations(status);
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].field, "options.delay_ms");
  EXPECT_EQ(violations[0].message, "must be at least 0");
}

TEST(FieldErrorTest, ListsAFewOfManyAndCountsTheRest) {
  std::vector<FieldViolation> many(kMaxViolationCount + 3, {"f", "is wrong"});
  const absl::Status status = FieldErrors(many);
  EXPECT_EQ(FieldViolations(status).size(), kMaxViolationCount);
  EXPECT_NE(status.message().find("and 3 more"), absl::string_view::npos);
}

TEST(NotBuiltYetTest, SaysWhat) {
  const absl::Status status = NotBuiltYet("CacheService.Watch");
  EXPECT_EQ(status.code(), StatusCode::kUnimplemented);
  EXPECT_EQ(Reason(status), "NOT_BUILT_YET");
  EXPECT_NE(status.message().find("CacheService.Watch"), absl::string_view::npos);
}

TEST(RetryAfterTest, IsKeptBesideTheErrorInfo) {
  const absl::Status status = WithRetryAfter(
      Error(StatusCode::kUnavailable, "REDIS_DOWN", "Try again."), absl::Milliseconds(1500));
  EXPECT_EQ(RetryAfter(status), absl::Milliseconds(1500));
  EXPECT_EQ(Reason(status), "REDIS_DOWN");
}

TEST(RetryAfterTest, IsClampedAndLeavesOkAlone) {
  const absl::Status base = absl::UnavailableError("x");
  EXPECT_EQ(RetryAfter(base), std::nullopt);
  EXPECT_EQ(RetryAfter(WithRetryAfter(base, absl::Seconds(-1))), absl::ZeroDuration());
  EXPECT_EQ(RetryAfter(WithRetryAfter(base, absl::InfiniteDuration())), kMaxRetryAfter);
  EXPECT_TRUE(WithRetryAfter(absl::OkStatus(), absl::Seconds(1)).ok());
}

TEST(ReadingTest, ForeignAndDamagedPayloadsAreNone) {
  absl::Status status = absl::InternalError("x");
  EXPECT_EQ(Reason(status), "");
  status.SetPayload("type.googleapis.com/google.rpc.ErrorInfo", absl::Cord("\xff\xff\xff"));
  status.SetPayload("type.googleapis.com/google.rpc.RetryInfo", absl::Cord("\xff\xff\xff"));
  status.SetPayload("type.googleapis.com/google.rpc.BadRequest", absl::Cord("\xff\xff\xff"));
  EXPECT_EQ(GetErrorInfo(status).has_value(), false);
  EXPECT_EQ(Reason(status), "");
  EXPECT_EQ(Metadata(status, "a"), std::nullopt);
  EXPECT_EQ(RetryAfter(status), std::nullopt);
  EXPECT_TRUE(FieldViolations(status).empty());
  EXPECT_EQ(Reason(absl::OkStatus()), "");
}

TEST(RpcStatusTest, RoundTripKeepsEverything) {
  const absl::Status status =
      WithRetryAfter(FieldError("args.url", "must be https"), absl::Seconds(3));
  const google::rpc::Status wire = ToRpcStatus(status);
  EXPECT_EQ(wire.code(), 3);
  ASSERT_EQ(wire.details_size(), 3);
  EXPECT_EQ(wire.details(0).type_url(), "type.googleapis.com/google.rpc.ErrorInfo");
  google::rpc::Status received;
  ASSERT_TRUE(received.ParseFromString(wire.SerializeAsString()));
  EXPECT_EQ(FromRpcStatus(received), status);
  EXPECT_EQ(Reason(FromRpcStatus(received)), "INVALID_FIELD");
}

TEST(RpcStatusTest, OkIsBare) {
  const google::rpc::Status wire = ToRpcStatus(absl::OkStatus());
  EXPECT_EQ(wire.ByteSizeLong(), 0u);
  EXPECT_TRUE(FromRpcStatus(wire).ok());
}

TEST(RpcStatusTest, UnknownCodesAreUnknown) {
  for (int code : {-1, 17, 1000}) {
    google::rpc::Status wire;
    wire.set_code(code);
    wire.set_message("odd");
    EXPECT_EQ(FromRpcStatus(wire).code(), StatusCode::kUnknown) << code;
  }
  for (int code = 1; code <= 16; ++code) {
    google::rpc::Status wire;
    wire.set_code(code);
    EXPECT_EQ(static_cast<int>(FromRpcStatus(wire).code()), code);
  }
}

TEST(RpcStatusTest, BoundsWhatOthersMade) {
  const std::string large(kMaxDetailsBytes, 'y');
  absl::Status status(StatusCode::kInternal, std::string(100000, 'x'));
  status.SetPayload("a/large", absl::Cord(absl::string_view(large)));
  status.SetPayload("z/small", absl::Cord("kept"));
  const google::rpc::Status wire = ToRpcStatus(status);
  EXPECT_EQ(wire.message().size(), kMaxMessageBytes);
  ASSERT_EQ(wire.details_size(), 1);
  EXPECT_EQ(wire.details(0).type_url(), "z/small");

  google::rpc::Status flood;
  flood.set_code(13);
  flood.set_message(std::string(100000, 'x'));
  for (int i = 0; i < 1000; ++i) {
    auto* detail = flood.add_details();
    detail->set_type_url(absl::StrCat("t/", i));
    detail->set_value(std::string(100, 'v'));
  }
  const absl::Status received = FromRpcStatus(flood);
  EXPECT_EQ(received.message().size(), kMaxMessageBytes);
  size_t bytes = 0;
  received.ForEachPayload([&](absl::string_view type_url, const absl::Cord& payload) {
    bytes += type_url.size() + payload.size();
  });
  EXPECT_LE(bytes, kMaxDetailsBytes);
}

TEST(RpcStatusTest, OurOwnLargestErrorFitsWithAllItsDetails) {
  MetadataMap metadata;
  for (int i = 0; i < 10; ++i) metadata[absl::StrCat("key", i)] = std::string(10000, 'v');
  EXPECT_EQ(
      ToRpcStatus(Error(StatusCode::kAborted, std::string(99, 'R'), "m", metadata)).details_size(),
      1);
  std::vector<FieldViolation> many(
      100, {std::string(kMaxFieldBytes, 'f'), std::string(kMaxDescriptionBytes, 'd')});
  EXPECT_EQ(ToRpcStatus(WithRetryAfter(FieldErrors(many), absl::Seconds(1))).details_size(), 3);
}

TEST(BoundedTextTest, CutsAtACharactersEdge) {
  EXPECT_EQ(BoundedText("short", 5), "short");
  EXPECT_EQ(BoundedText("longer", 5), "lo...");
  EXPECT_EQ(BoundedText("a\u00e9\u00e9\u00e9", 6), "a\u00e9...");  // 7 bytes; 3 kept
  EXPECT_EQ(BoundedText("\u00e9\u00e9\u00e9\u00e9", 7), "\u00e9\u00e9...");
  EXPECT_EQ(BoundedText("\u20ac\u20ac\u20ac", 8), "\u20ac...");  // 5 bytes kept: one and a part
  EXPECT_EQ(BoundedText("abc", 2), "");
}

TEST(BoundedTextTest, ReplacesWhatIsNotUtf8) {
  EXPECT_EQ(BoundedText("a\xff"
                        "b",
                        10),
            "a?b");
  EXPECT_EQ(BoundedText("\xc0\x80", 10), "??");            // overlong
  EXPECT_EQ(BoundedText("\xed\xa0\x80", 10), "???");       // surrogate
  EXPECT_EQ(BoundedText("\xf4\x90\x80\x80", 10), "????");  // above U+10FFFF
  EXPECT_EQ(BoundedText("\xe2\x82", 10), "??");            // cut off
  EXPECT_EQ(BoundedText("\U0001F600", 10), "\U0001F600");
}

TEST(ErrorTest, NeverMakesAMessageThatProtobufRefuses) {
  const absl::Status status = Error(StatusCode::kInternal, "R\xff", "m\xff", {{"k\xff", "v\xff"}});
  EXPECT_EQ(Metadata(status, "k?"), "v?");
  google::rpc::Status wire = ToRpcStatus(absl::InternalError("m\xff"));
  google::rpc::Status received;
  ASSERT_TRUE(received.ParseFromString(wire.SerializeAsString()));
  EXPECT_EQ(received.message(), "m?");
}

}  // namespace
}  // namespace slipstream::status
