#include "services/edge/transcoder/problem.h"

#include <string>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "libs/status/status.h"
#include "nlohmann/json.hpp"

namespace slipstream::edge {
namespace {

nlohmann::json Body(const absl::Status& status, std::string_view correlation_id = "c-1") {
  return nlohmann::json::parse(MakeProblem(status, correlation_id).body);
}

TEST(Problem, CarriesWhatTheStatusKnows) {
  const absl::Status status =
      status::WithRetryAfter(status::Error(absl::StatusCode::kResourceExhausted, "BUDGET_EXCEEDED",
                                           "ask \"admin\"\n", {{"left", "3"}}),
                             absl::Milliseconds(1200));
  const Problem problem = MakeProblem(status, "c-1");
  EXPECT_EQ(problem.http_status, 429);
  EXPECT_EQ(problem.retry_after_s, 2);
  EXPECT_EQ(
      problem.body,
      R"({"type":"urn:slipstream:problem:budget_exceeded","title":"Too Many Requests","status":429,)"
      R"("detail":"ask \"admin\"\n","code":"RESOURCE_EXHAUSTED","reason":"BUDGET_EXCEEDED",)"
      R"("metadata":{"left":"3"},"correlation_id":"c-1","retry_after_s":2})");
}

TEST(Problem, FieldErrorsAreListed) {
  const auto body = Body(status::FieldErrors({{"a.b", "is wrong"}, {"c[2]", "is missing"}}));
  EXPECT_EQ(body["status"], 400);
  EXPECT_EQ(body["reason"], "INVALID_FIELD");
  ASSERT_EQ(body["errors"].size(), 2u);
  EXPECT_EQ(body["errors"][1]["field"], "c[2]");
  EXPECT_EQ(body["errors"][0]["message"], "is wrong");
}

TEST(Problem, PlainStatusesHaveNoEmptyMembers) {
  const auto body = Body(absl::NotFoundError("gone"), "");
  EXPECT_EQ(
      body.dump(),
      R"({"code":"NOT_FOUND","detail":"gone","status":404,"title":"Not Found","type":"about:blank"})");
}

TEST(Problem, EveryCodeHasItsStatus) {
  const int wanted[] = {200, 499, 500, 400, 504, 404, 409, 403, 429,
                        409, 409, 400, 501, 500, 503, 500, 401};
  for (int code = 0; code <= 16; ++code) {
    EXPECT_EQ(HttpStatusOf(static_cast<absl::StatusCode>(code)), wanted[code]) << code;
  }
  EXPECT_EQ(GrpcCodeName(absl::StatusCode::kUnauthenticated), "UNAUTHENTICATED");
  EXPECT_EQ(GrpcCodeName(static_cast<absl::StatusCode>(77)), "UNKNOWN");
  EXPECT_EQ(Body(BodyTooLarge(10))["status"], 413);
  EXPECT_EQ(Body(MethodNotAllowed("PUT", "GET, HEAD"))["status"], 405);
  EXPECT_EQ(Body(MethodNotAllowed("PUT", "GET, HEAD"))["metadata"]["allow"], "GET, HEAD");
  EXPECT_EQ(Body(RouteNotFound("GET", "/x\xFF"))["status"], 404);
  EXPECT_EQ(HttpStatusOf(absl::StatusCode::kInvalidArgument, "UNSUPPORTED_MEDIA_TYPE"), 415);
}

TEST(Problem, StatusesComeBackFromTheWire) {
  const absl::Status sent =
      status::Error(absl::StatusCode::kNotFound, "TASK_NOT_FOUND", "no such task");
  const std::string details = status::ToRpcStatus(sent).SerializeAsString();
  const absl::Status back = StatusFromGrpc(5, "no such task", details);
  EXPECT_EQ(status::Reason(back), "TASK_NOT_FOUND");
  EXPECT_EQ(Body(back)["reason"], "TASK_NOT_FOUND");
  const absl::Status bare = StatusFromGrpc(14, "connection \xFF refused", "not a status \xFF\xFF");
  EXPECT_EQ(bare.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Body(bare)["status"], 503);
  EXPECT_EQ(StatusFromGrpc(99, "odd", "").code(), absl::StatusCode::kUnknown);
}

}  // namespace
}  // namespace slipstream::edge
