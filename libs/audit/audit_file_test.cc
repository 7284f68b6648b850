#include "libs/audit/audit_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "libs/status/status.h"

namespace slipstream::audit {
namespace {

class AuditFileTest : public testing::Test {
 protected:
  AuditFileTest() {
    folder_ = std::filesystem::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    options_.path = folder_ / "audit.jsonl";
  }
  static std::string Read(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  std::filesystem::path folder_;
  AuditFileOptions options_;
};

TEST_F(AuditFileTest, AppendsAndIsPrivate) {
  {
    AuditFile file(options_);
    ASSERT_TRUE(file.Open().ok());
    EXPECT_EQ(file.Append({"one\n", "two\n"}).line_count, 2u);
  }
  AuditFile file(options_);
  ASSERT_TRUE(file.Open().ok());
  EXPECT_EQ(file.Append({"three\n"}).line_count, 1u);
  EXPECT_EQ(Read(options_.path), "one\ntwo\nthree\n");
  struct stat info{};
  ASSERT_EQ(stat(options_.path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(AuditFileTest, ATornLineIsEndedFirst) {
  std::ofstream(options_.path) << "{\"whole\":1}\n{\"torn\":";
  AuditFile file(options_);
  ASSERT_TRUE(file.Open().ok());
  file.Append({"next\n", "more\n"});
  EXPECT_EQ(Read(options_.path), "{\"whole\":1}\n{\"torn\":\nnext\nmore\n");
}

TEST_F(AuditFileTest, RotatesBySizeAndKeepsSoMany) {
  options_.max_file_bytes = 10;
  options_.max_rotated_file_count = 2;
  AuditFile file(options_);
  ASSERT_TRUE(file.Open().ok());
  EXPECT_EQ(file.Append({"aaaa\n", "bbbb\n", "cccc\n", "dddd\n", "eeee\n", "ffff\n", "gggg\n"})
                .line_count,
            7u);
  EXPECT_EQ(file.rotations_total(), 3u);
  EXPECT_EQ(Read(options_.path), "gggg\n");
  EXPECT_EQ(Read(options_.path + ".1"), "eeee\nffff\n");
  EXPECT_EQ(Read(options_.path + ".2"), "cccc\ndddd\n");
  EXPECT_FALSE(std::filesystem::exists(options_.path + ".3"));
}

TEST_F(AuditFileTest, ALineLongerThanTheBoundStillGoesIn) {
  options_.max_file_bytes = 10;
  AuditFile file(options_);
  ASSERT_TRUE(file.Open().ok());
  const std::string line = std::string(100, 'x') + "\n";
  EXPECT_EQ(file.Append({line, line}).line_count, 2u);
  EXPECT_EQ(Read(options_.path), line);
  EXPECT_EQ(Read(options_.path + ".1"), line);
}

TEST_F(AuditFileTest, OpensAnewWhenTheFileWasMovedOrItsFolderCameBack) {
  AuditFile file(options_);
  ASSERT_TRUE(file.Open().ok());
  file.Append({"old\n"});
  std::filesystem::rename(options_.path, folder_ / "taken-away");
  file.Append({"new\n"});
  EXPECT_EQ(Read(options_.path), "new\n");
  EXPECT_EQ(Read(folder_ / "taken-away"), "old\n");

  std::filesystem::remove_all(folder_);
  const AuditFile::Appended lost = file.Append({"lost\n"});
  EXPECT_EQ(lost.line_count, 0u);
  EXPECT_EQ(status::Reason(lost.status), "AUDIT_FILE_UNUSABLE");
  std::filesystem::create_directories(folder_);
  EXPECT_EQ(file.Append({"back\n"}).line_count, 1u);
  EXPECT_EQ(Read(options_.path), "back\n");
}

TEST_F(AuditFileTest, APartialWriteLosesOneLineOnly) {
  AuditFile file(options_);
  ASSERT_TRUE(file.Open().ok());
  file.Append({"first\n"});
  // A limit on the file's size stands in for a full disk.
  const auto previous_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit limited = before;
  limited.rlim_cur = 10;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limited), 0);
  const AuditFile::Appended failed = file.Append({"second\n", "third\n"});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, previous_handler);
  EXPECT_EQ(failed.line_count, 0u);
  EXPECT_FALSE(failed.status.ok());
  EXPECT_EQ(file.Append({"fourth\n"}).line_count, 1u);
  EXPECT_EQ(Read(options_.path), "first\nseco\nfourth\n");
}

TEST_F(AuditFileTest, RefusesWhatIsNoFile) {
  options_.path = folder_;
  EXPECT_EQ(AuditFile(options_).Open().code(), absl::StatusCode::kFailedPrecondition);
  options_.path = folder_ / "fifo";
  ASSERT_EQ(mkfifo(options_.path.c_str(), 0600), 0);
  EXPECT_FALSE(AuditFile(options_).Open().ok());
  options_.path = folder_ / "no" / "such" / "folder";
  EXPECT_FALSE(AuditFile(options_).Open().ok());
}

}  // namespace
}  // namespace slipstream::audit
