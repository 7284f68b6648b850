// What a handler sees, and what becomes of its status.
#include "libs/client/worker/task.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "libs/client/worker/failure.h"
#include "libs/status/status.h"

namespace slipstream::worker_client {
namespace {

TEST(TaskContext, CallbacksRunOnceOnCancelAndAtOnceAfterIt) {
  TaskContext context({.task_id = "t"});
  int early = 0;
  int late = 0;
  context.OnCancel([&] { ++early; });
  EXPECT_FALSE(context.cancelled());
  context.Cancel(kCancelled);
  context.Cancel(kDrain);
  context.OnCancel([&] { ++late; });
  EXPECT_TRUE(context.cancelled());
  EXPECT_TRUE(context.cancel_token().stop_requested());
  EXPECT_EQ(context.cancel_reason(), kCancelled);
  EXPECT_EQ(early, 1);
  EXPECT_EQ(late, 1);
}

TEST(TaskContext, ProgressEndsWithTheCancel) {
  int reports = 0;
  TaskContext context({}, [&](int, std::string_view) { ++reports; });
  context.Progress(1, "one");
  context.Cancel(kStaleLease);
  context.Progress(2, "two");
  EXPECT_EQ(reports, 1);
}

TEST(TaskContext, CancelEndsASleep) {
  boost::asio::io_context io;
  TaskContext context({});
  auto slept = boost::asio::co_spawn(io, context.SleepFor(absl::InfiniteDuration()),
                                     boost::asio::use_future);
  boost::asio::post(io, [&] { context.Cancel(kCancelled); });
  io.run();
  EXPECT_FALSE(slept.get());
}

TEST(Failure, CodesThatMaySucceedLaterAreRetryable) {
  for (auto code : {absl::StatusCode::kUnavailable, absl::StatusCode::kResourceExhausted,
                    absl::StatusCode::kAborted, absl::StatusCode::kDeadlineExceeded,
                    absl::StatusCode::kInternal}) {
    EXPECT_TRUE(ToFailure(absl::Status(code, "x")).retryable()) << static_cast<int>(code);
  }
  for (auto code : {absl::StatusCode::kInvalidArgument, absl::StatusCode::kFailedPrecondition,
                    absl::StatusCode::kNotFound, absl::StatusCode::kPermissionDenied}) {
    EXPECT_FALSE(ToFailure(absl::Status(code, "x")).retryable()) << static_cast<int>(code);
  }
}

TEST(Failure, CarriesReasonMessageAndDelay) {
  const auto failure = ToFailure(status::WithRetryAfter(
      status::Error(absl::StatusCode::kUnavailable, "MODEL_BUSY", "try later"), absl::Seconds(3)));
  EXPECT_EQ(failure.reason(), "MODEL_BUSY");
  EXPECT_EQ(failure.message(), "try later");
  EXPECT_EQ(failure.retry_after_ms(), 3000);
  EXPECT_EQ(ToFailure(absl::NotFoundError("x")).reason(), "NOT_FOUND");
  EXPECT_FALSE(ToFailure(Final(absl::UnavailableError("x"))).retryable());
  EXPECT_LE(ToFailure(absl::InternalError(std::string(5000, 'x'))).message().size(), 2048u);
}

}  // namespace
}  // namespace slipstream::worker_client
