#include "libs/audit/file_audit_log.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "libs/clock/fake_clock.h"
#include "libs/logging/log_sink.h"

namespace slipstream::audit {
namespace {

class FileAuditLogTest : public testing::Test {
 protected:
  FileAuditLogTest() {
    folder_ = std::filesystem::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    options_.file.path = folder_ / "audit.jsonl";
  }
  std::unique_ptr<FileAuditLog> Open() {
    return *FileAuditLog::Open(options_, clock_, random_,
                               logging::Logger::ToSink(captured_, clock_, {.synchronous = true}));
  }
  static AuditEntry Entry(std::string user) {
    AuditEntry entry;
    entry.user = std::move(user);
    return entry;
  }
  size_t LineCount() const {
    std::ifstream file(options_.file.path);
    size_t count = 0;
    for (std::string line; std::getline(file, line); ++count) {
      EXPECT_TRUE(nlohmann::json::accept(line)) << line;
    }
    return count;
  }

  std::filesystem::path folder_;
  AuditLogOptions options_;
  clock::FakeClock clock_;
  random::SeededRandom random_{3};
  std::shared_ptr<logging::CapturedLog> captured_ = std::make_shared<logging::CapturedLog>();
};

TEST_F(FileAuditLogTest, EndingWritesEverything) {
  {
    const auto log = Open();
    for (int i = 0; i < 500; ++i) log->Record(Entry("alice"));
  }
  EXPECT_EQ(LineCount(), 500u);
}

TEST_F(FileAuditLogTest, FlushMeansOnDisk) {
  const auto log = Open();
  log->Record(Entry("alice"));
  ASSERT_TRUE(log->Flush(absl::Seconds(30)));
  EXPECT_EQ(LineCount(), 1u);
  EXPECT_EQ(log->Stats().written_total, 1u);
  EXPECT_EQ(log->Stats().queued_count, 0u);
  EXPECT_TRUE(log->Flush(absl::InfiniteDuration()));
}

TEST_F(FileAuditLogTest, AFailingDiskIsCountedLoggedAndSurvived) {
  const auto log = Open();
  std::filesystem::remove_all(folder_);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(log->Record(Entry("alice")));
    ASSERT_TRUE(log->Flush(absl::Seconds(30)));
  }
  AuditStats stats = log->Stats();
  EXPECT_EQ(stats.lost_total, 3u);
  EXPECT_FALSE(stats.healthy);
  EXPECT_EQ(log->List({}).entries.size(), 3u) << "still readable in memory";
  std::filesystem::create_directories(folder_);
  log->Record(Entry("bob"));
  ASSERT_TRUE(log->Flush(absl::Seconds(30)));
  stats = log->Stats();
  EXPECT_EQ(stats.written_total, 1u);
  EXPECT_TRUE(stats.healthy);
  EXPECT_EQ(LineCount(), 1u);
}

TEST_F(FileAuditLogTest, LossesAreLoggedAtMostOnceInTenSeconds) {
  {
    const auto log = Open();
    std::filesystem::remove_all(folder_);
    for (int i = 0; i < 3; ++i) {
      log->Record(Entry("alice"));
      ASSERT_TRUE(log->Flush(absl::Seconds(30)));
    }
  }  // the writer has ended, and with it its logging
  EXPECT_EQ(captured_->lines().size(), 1u);
  EXPECT_TRUE(captured_->Contains({"could not be written", "audit.jsonl"}));
}

TEST_F(FileAuditLogTest, AFullQueueLosesLinesAndNeverBlocks) {
  options_.max_queued_bytes = 1;
  const auto log = Open();
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(log->Record(Entry("alice")));
  EXPECT_TRUE(log->Flush(absl::Seconds(30)));
  EXPECT_EQ(log->Stats().lost_total, 10u);
  EXPECT_EQ(log->List({}).entries.size(), 10u);
}

TEST_F(FileAuditLogTest, AnUnusablePathIsToldAtOnce) {
  options_.file.path = folder_ / "no" / "such" / "audit.jsonl";
  EXPECT_EQ(OpenAuditLog(options_, clock_, random_, {}).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace slipstream::audit
