#include "libs/auth/key_set.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <vector>

#include "libs/auth/reasons.h"
#include "libs/auth/rfc_vectors.h"
#include "libs/clock/fake_clock.h"
#include "libs/status/status.h"

namespace slipstream::auth {
namespace {

class KeySetTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }

  // As deployments do it: a new file renamed over the old one, so the inode changes.
  std::string Write(const std::string& name, std::string_view text) {
    const std::string path = folder_ / name;
    std::ofstream(path + ".new") << text;
    std::rename((path + ".new").c_str(), path.c_str());
    return path;
  }

  KeySetOptions Options(const std::string& secret_path) {
    KeySetOptions options;
    options.secret_path = secret_path;
    options.on_reload = [this](const absl::Status& status) { reloads_.push_back(status); };
    return options;
  }

  std::filesystem::path folder_;
  clock::FakeClock clock_;
  std::vector<absl::Status> reloads_;
};

TEST_F(KeySetTest, NoticesANewFileOnceTheIntervalIsOver) {
  const std::string path = Write("secret", std::string(32, 'a'));
  auto set = KeySet::Open(Options(path), clock_);
  ASSERT_TRUE(set.ok()) << set.status();
  const std::string signature = *(*set)->Current()->keys[0].Sign("x");
  (*set)->RefreshIfDue();
  EXPECT_EQ((*set)->generation(), 1u) << "unchanged";

  Write("secret", std::string(32, 'b'));
  clock_.Advance(absl::Milliseconds(999));
  (*set)->RefreshIfDue();
  EXPECT_EQ((*set)->generation(), 1u) << "not looked at yet";
  clock_.Advance(absl::Milliseconds(1));
  (*set)->RefreshIfDue();
  EXPECT_EQ((*set)->generation(), 2u);
  EXPECT_EQ((*set)->Current()->generation, 2u);
  EXPECT_FALSE((*set)->Current()->keys[0].Verify("x", signature));
  clock_.Advance(absl::Seconds(5));
  (*set)->RefreshIfDue();
  EXPECT_EQ((*set)->generation(), 2u);
}

TEST_F(KeySetTest, ABadFileKeepsTheOldKeysAndIsReportedOnce) {
  const std::string path = Write("secret", std::string(32, 'a'));
  auto set = KeySet::Open(Options(path), clock_);
  ASSERT_TRUE(set.ok());
  reloads_.clear();
  const std::string signature = *(*set)->Current()->keys[0].Sign("x");
  Write("secret", "too short");
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(absl::Seconds(1));
    (*set)->RefreshIfDue();
  }
  EXPECT_EQ((*set)->generation(), 1u);
  EXPECT_TRUE((*set)->Current()->keys[0].Verify("x", signature));
  EXPECT_FALSE((*set)->Stats().files_are_valid);
  EXPECT_EQ((*set)->Stats().failed_reloads_total, 3u);
  ASSERT_EQ(reloads_.size(), 1u);
  EXPECT_EQ(status::Reason(reloads_[0]), kKeyFileInvalid);

  std::filesystem::remove(path);
  clock_.Advance(absl::Seconds(1));
  (*set)->RefreshIfDue();
  EXPECT_TRUE((*set)->Current()->keys[0].Verify("x", signature));
  EXPECT_EQ(reloads_.size(), 2u) << "another failure is news";

  Write("secret", std::string(32, 'c'));
  clock_.Advance(absl::Seconds(1));
  (*set)->RefreshIfDue();
  EXPECT_EQ((*set)->generation(), 2u);
  EXPECT_TRUE((*set)->Stats().files_are_valid);
  EXPECT_TRUE(reloads_.back().ok());
}

TEST_F(KeySetTest, ReloadReadsAtOnce) {
  const std::string path = Write("secret", std::string(32, 'a'));
  auto set = KeySet::Open(Options(path), clock_);
  Write("secret", std::string(32, 'b'));
  EXPECT_TRUE((*set)->Reload().ok());
  EXPECT_EQ((*set)->generation(), 2u);
  Write("secret", "x");
  EXPECT_EQ((*set)->Reload().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ((*set)->generation(), 2u);
}

TEST_F(KeySetTest, JoinsSeveralFiles) {
  KeySetOptions options = Options(Write("secret", std::string(32, 'a')));
  options.jwk_set_paths = {Write("rsa.json", rfc::kRs256PublicJwk),
                           Write("ec.json", rfc::kEs256PublicJwk)};
  auto set = KeySet::Open(options, clock_);
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ((*set)->Current()->keys.size(), 3u);
  Write("ec.json", rfc::kEdDsaPublicJwk);
  clock_.Advance(absl::Seconds(1));
  (*set)->RefreshIfDue();
  EXPECT_EQ((*set)->generation(), 2u);

  // A raw secret has no place among the JWK Sets.
  options.jwk_set_paths.push_back(Write("page.html", "<html>" + std::string(64, 'x')));
  EXPECT_FALSE(KeySet::Open(options, clock_).ok());
}

TEST_F(KeySetTest, RefusesWhatIsNoKeyFile) {
  EXPECT_EQ(KeySet::Open(Options(folder_ / "missing"), clock_).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(KeySet::Open(Options(folder_), clock_).ok());
  EXPECT_FALSE(
      KeySet::Open(Options(Write("large", std::string(256 * 1024 + 1, 'a'))), clock_).ok());
  const std::string fifo = folder_ / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_FALSE(KeySet::Open(Options(fifo), clock_).ok());
}

TEST_F(KeySetTest, WithoutFilesThereAreNoKeys) {
  auto set = KeySet::Open({}, clock_);
  ASSERT_TRUE(set.ok());
  (*set)->RefreshIfDue();
  EXPECT_TRUE((*set)->Current()->keys.empty());
}

}  // namespace
}  // namespace slipstream::auth
