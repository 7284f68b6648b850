#include "libs/logging/logger.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/clock/fake_clock.h"
#include "libs/logging/log_sink.h"

namespace slipstream::logging {
namespace {

class LoggerTest : public testing::Test {
 protected:
  Logger Make(Level level = Level::kInfo) {
    return Logger::ToSink(log_, clock_, {.level = level, .synchronous = true});
  }
  nlohmann::json Last() { return nlohmann::json::parse(log_->lines().back()); }

  clock::FakeClock clock_{absl::FromUnixMillis(1767323045678)};
  std::shared_ptr<CapturedLog> log_ = std::make_shared<CapturedLog>();
};

TEST_F(LoggerTest, WritesOneJsonObjectWithTimeLevelAndFields) {
  Make().Warning("task \"late\"", {{"task_id", std::string("t1")},
                                   {"attempt", 3},
                                   {"size", std::uint64_t{18446744073709551615u}},
                                   {"ratio", 0.5},
                                   {"ok", false},
                                   {"status", absl::NotFoundError("gone")}});
  EXPECT_EQ(log_->lines().back(),
            R"({"time":"2026-01-02T03:04:05.678Z","level":"warning","message":"task \"late\"",)"
            R"("task_id":"t1","attempt":3,"size":18446744073709551615,"ratio":0.5,"ok":false,)"
            R"("status":"NOT_FOUND: gone"})");
}

TEST_F(LoggerTest, BoundFieldsComeFirstAndStayWithTheCopy) {
  const Logger parent = Make();
  const Logger child = parent.With({{kService, "cache"}}).WithCall("abc", "", "req-1");
  child.Info("x", {{"n", 1}});
  EXPECT_EQ(Last()["service"], "cache");
  EXPECT_EQ(Last()["trace_id"], "abc");
  EXPECT_EQ(Last()["correlation_id"], "req-1");
  EXPECT_FALSE(Last().contains("span_id"));
  parent.Info("y");
  EXPECT_FALSE(Last().contains("service"));
}

TEST_F(LoggerTest, LevelHidesAndCanChange) {
  const Logger logger = Make();
  logger.Debug("hidden");
  EXPECT_TRUE(log_->lines().empty());
  logger.SetLevel(Level::kDebug);
  logger.Debug("seen");
  EXPECT_EQ(Last()["level"], "debug");
  logger.SetLevel(Level::kOff);
  logger.Error("hidden");
  EXPECT_EQ(log_->lines().size(), 1u);
  Level level;
  EXPECT_TRUE(ParseLevel("warning", &level));
  EXPECT_EQ(level, Level::kWarning);
  EXPECT_FALSE(ParseLevel("WARN", &level));
}

TEST_F(LoggerTest, SecretsAreNotWritten) {
  Make().Info("x", {{"password", "hunter2"}, {"smtp_password", "hunter2"}, {"token_count", 7}});
  EXPECT_EQ(log_->lines().back().find("hunter2"), std::string::npos);
  EXPECT_EQ(Last()["smtp_password"], "***");
  EXPECT_EQ(Last()["token_count"], 7);
}

TEST_F(LoggerTest, InvalidUtf8AndNumbersThatJsonLacksStayValid) {
  Make().Info("bad \xFF", {{"k\xC0", "v\xFE"},
                           {"nan", std::numeric_limits<double>::quiet_NaN()},
                           {"inf", -std::numeric_limits<double>::infinity()}});
  EXPECT_EQ(Last()["message"], "bad \xEF\xBF\xBD");
  EXPECT_EQ(Last()["nan"], "NaN");
  EXPECT_EQ(Last()["inf"], "-Inf");
}

TEST_F(LoggerTest, LinesAreBounded) {
  const std::string big(3 * kMaxValueBytes, '\x01');
  Make().Info(big, {{"a", big}, {"b", big}, {"c", big}, {"d", big}, {"e", big}, {"f", 1}});
  EXPECT_LT(log_->lines().back().size(), kMaxLineBytes);
  EXPECT_EQ(Last()["truncated"], true);
  EXPECT_EQ(Last()["f"], 1);
}

TEST_F(LoggerTest, TextFormatIsOneLineForPeople) {
  const Logger logger =
      Logger::ToSink(log_, clock_, {.format = Format::kText, .synchronous = true});
  logger.Info("a\nb");
  logger.With({{"service", "cache"}}).Error("failed", {{"n", 1}});
  EXPECT_EQ(log_->lines()[0], "2026-01-02T03:04:05.678Z info a\\nb");
  EXPECT_EQ(log_->lines()[1],
            "2026-01-02T03:04:05.678Z error failed {\"service\":\"cache\",\"n\":1}");
}

TEST_F(LoggerTest, DefaultLoggerDropsEverything) {
  Logger().Error("x", {{"a", 1}});
  EXPECT_FALSE(Logger().Enabled(Level::kError));
}

TEST_F(LoggerTest, AsynchronousLinesArriveInOrderBeforeTheLastCopyEnds) {
  {
    const Logger logger = Logger::ToSink(log_, clock_, {});
    for (int i = 0; i < 1000; ++i) logger.Info("x", {{"i", i}});
  }
  const std::vector<std::string> lines = log_->lines();
  ASSERT_EQ(lines.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(nlohmann::json::parse(lines[i])["i"], i);
}

TEST_F(LoggerTest, AReaderThatStopsDelaysNobody) {
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  constexpr int kLines = 10000;
  const std::string text(500, 'x');
  {
    // Nobody reads: the pipe holds 64 KiB, the queue kMaxQueuedLines, the rest must be dropped.
    // With a blocking write this scope would never end.
    Logger logger = Logger::ToFd(fds[1], clock_, {});
    for (int i = 0; i < kLines; ++i) logger.Info("x", {{"i", i}, {"text", text}});
    EXPECT_GT(logger.dropped_count(), 0u);
  }
  ::close(fds[1]);
  std::string all;
  char buffer[65536];
  for (ssize_t n; (n = ::read(fds[0], buffer, sizeof(buffer))) > 0;) all.append(buffer, n);
  ::close(fds[0]);
  // What did get out is whole lines.
  ASSERT_FALSE(all.empty());
  std::size_t start = 0;
  for (std::size_t end; (end = all.find('\n', start)) != std::string::npos; start = end + 1) {
    ASSERT_TRUE(nlohmann::json::accept(all.substr(start, end - start)));
  }
  EXPECT_EQ(start, all.size());
}

TEST_F(LoggerTest, SaysHowManyLinesWereLost) {
  auto log = std::make_shared<CapturedLog>();
  class Lossy final : public LogSink {
   public:
    explicit Lossy(std::shared_ptr<CapturedLog> to) : to_(std::move(to)) {}
    void WriteLine(std::string_view line) override { to_->WriteLine(line); }
    std::uint64_t dropped_count() const override { return 7; }
    std::shared_ptr<CapturedLog> to_;
  };
  const Logger logger = Logger::ToSink(std::make_shared<Lossy>(log), clock_, {.synchronous = true});
  logger.Info("a");
  logger.Info("b");
  ASSERT_EQ(log->lines().size(), 3u);
  EXPECT_TRUE(log->Contains({"\"dropped_count\":7"}));
}

}  // namespace
}  // namespace slipstream::logging
