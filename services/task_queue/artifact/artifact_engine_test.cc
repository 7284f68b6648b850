// The engine on the folder store, in a folder of its own.
#include "services/task_queue/artifact/artifact_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "libs/clock/fake_clock.h"
#include "libs/status/status.h"
#include "services/task_queue/artifact/byte_range.h"
#include "services/task_queue/artifact/content_type.h"
#include "services/task_queue/artifact/folder_artifact_store.h"
#include "services/task_queue/contract/await.h"

namespace slipstream::artifact {
namespace {

using task_queue::Await;
using testing::ElementsAre;

class ArtifactEngineTest : public testing::Test {
 protected:
  ArtifactEngineTest() : folder_(testing::TempDir() + "artifacts-" + std::to_string(getpid())) {
    std::filesystem::remove_all(folder_);
    Restart();
  }
  ~ArtifactEngineTest() override {
    engine_.reset();
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Restart() {
    engine_.reset();
    store_.reset();
    auto store = FolderArtifactStore::Open(folder_, pool_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    engine_.emplace(
        ArtifactEngine::Deps{*store_, clock_, random_, task_queue::ArtifactSeries(metrics_)},
        ArtifactLimits{100, 150, absl::Hours(24)});
  }
  absl::StatusOr<ArtifactRecord> Upload(const Caller& caller, std::string bytes,
                                        UploadSpec spec = {.name = "a.txt"}) {
    auto intake = Await(engine_->Begin(caller, std::move(spec)));
    if (!intake.ok()) return intake.status();
    if (absl::Status added = Await((*intake)->Append(std::move(bytes))); !added.ok()) return added;
    return Await((*intake)->Finish());
  }
  std::string Read(const Caller& caller, const std::string& id) {
    auto opened = Await(engine_->Open(caller, id));
    if (!opened.ok()) return std::string(absl::StatusCodeToString(opened.status().code()));
    return *Await(opened->second->Read(0, opened->first.size_bytes));
  }
  size_t FilesIn(const char* name) {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/" + name)) {
      count += entry.is_regular_file() ? 1 : 0;
    }
    return count;
  }

  const std::string folder_;
  clock::FakeClock clock_;
  random::SeededRandom random_{1};
  metrics::Registry metrics_;
  BlockingPool pool_{1};
  std::unique_ptr<FolderArtifactStore> store_;
  std::optional<ArtifactEngine> engine_;
  const Caller alice_{"alice", "acme", false, "", ""};
  const Caller bob_{"bob", "acme", false, "", ""};
  const Caller admin_{"root", "", true, "", ""};
};

TEST_F(ArtifactEngineTest, WhatIsKeptIsReadBackAlsoAfterARestart) {
  const auto kept = Upload(alice_, "hello");
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(kept->sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
  EXPECT_EQ(kept->content_type, "text/plain");
  EXPECT_EQ(kept->expires_at, clock_.Now() + absl::Hours(24));
  EXPECT_EQ(Read(alice_, kept->artifact_id), "hello");
  Restart();
  EXPECT_EQ(Read(alice_, kept->artifact_id), "hello");
  EXPECT_EQ(Await(engine_->Get(alice_, kept->artifact_id))->name, "a.txt");
  EXPECT_EQ(store_->orphans_at_start_count(), 0);
}

TEST_F(ArtifactEngineTest, AnothersFileDoesNotExist) {
  const std::string id = Upload(alice_, "hello")->artifact_id;
  EXPECT_EQ(Read(bob_, id), "NOT_FOUND");
  EXPECT_TRUE(absl::IsNotFound(Await(engine_->Remove(bob_, id))));
  EXPECT_TRUE(absl::IsNotFound(Await(engine_->Get(bob_, id)).status()));
  EXPECT_TRUE(Await(engine_->List(bob_, {}))->artifacts.empty());
  EXPECT_EQ(Read(admin_, id), "hello");
}

TEST_F(ArtifactEngineTest, PathsOfOthersMakingAreNotFollowed) {
  EXPECT_EQ(Read(alice_, "../lock"), "NOT_FOUND");
  for (const char* name : {"../x", "a/b", "a\\b", "..", "a\nb"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Upload(alice_, "x", {.name = name}).status())) << name;
  }
}

TEST_F(ArtifactEngineTest, AFileAndAUserHaveTheirBounds) {
  EXPECT_EQ(status::Reason(Upload(alice_, std::string(101, 'x')).status()), "ARTIFACT_TOO_LARGE");
  ASSERT_TRUE(Upload(alice_, std::string(100, 'x')).ok());
  EXPECT_EQ(status::Reason(Upload(alice_, std::string(51, 'x')).status()), "USER_QUOTA_EXCEEDED");
  EXPECT_TRUE(Upload(bob_, std::string(51, 'x')).ok());
  EXPECT_TRUE(Upload(alice_, std::string(50, 'x')).ok());
}

TEST_F(ArtifactEngineTest, UploadsInProgressCountTogether) {
  auto first = Await(engine_->Begin(alice_, {.name = "a"}));
  auto second = Await(engine_->Begin(alice_, {.name = "b"}));
  ASSERT_TRUE(Await((*first)->Append(std::string(100, 'x'))).ok());
  EXPECT_EQ(status::Reason(Await((*second)->Append(std::string(100, 'x')))), "USER_QUOTA_EXCEEDED");
  first->reset();
  EXPECT_TRUE(Await((*second)->Append(std::string(100, 'x'))).ok());
}

TEST_F(ArtifactEngineTest, AnUploadGivenUpLeavesNothing) {
  {
    auto intake = Await(engine_->Begin(alice_, {.name = "a"}));
    ASSERT_TRUE(Await((*intake)->Append("half")).ok());
    EXPECT_EQ(FilesIn("tmp"), 1u);
  }
  EXPECT_EQ(FilesIn("tmp"), 0u);
  EXPECT_EQ(FilesIn("files"), 0u);
}

TEST_F(ArtifactEngineTest, AWrongChecksumIsRefused) {
  UploadSpec spec{.name = "a", .sha256 = std::string(64, '0')};
  EXPECT_EQ(status::Reason(Upload(alice_, "hello", spec).status()), "SHA256_MISMATCH");
  EXPECT_EQ(FilesIn("files"), 0u);
}

TEST_F(ArtifactEngineTest, LeftoversOfACrashAreRemovedAtTheStart) {
  const std::string id = Upload(alice_, "hello")->artifact_id;
  const std::string broken = Upload(alice_, "cut short")->artifact_id;
  std::ofstream(folder_ + "/tmp/half") << "half";
  std::ofstream(folder_ + "/files/no-record") << "x";
  std::filesystem::resize_file(folder_ + "/files/" + broken, 3);
  Restart();
  EXPECT_EQ(store_->orphans_at_start_count(), 2);
  EXPECT_EQ(Read(alice_, id), "hello");
  EXPECT_EQ(Read(alice_, broken), "NOT_FOUND");
  EXPECT_EQ(FilesIn("files"), 1u);
  EXPECT_EQ(FilesIn("records"), 1u);
}

TEST_F(ArtifactEngineTest, AFolderHasOneOwner) {
  const auto second = FolderArtifactStore::Open(folder_, pool_);
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
}

TEST_F(ArtifactEngineTest, ExpiredFilesAreGoneAndSwept) {
  const std::string id = Upload(alice_, "hello")->artifact_id;
  clock_.Advance(absl::Hours(24));
  EXPECT_EQ(Read(alice_, id), "NOT_FOUND");
  EXPECT_EQ(Await(engine_->Sweep(true))->expired_count, 1);
  EXPECT_EQ(FilesIn("files"), 1u) << "a dry run removes nothing";
  EXPECT_EQ(Await(engine_->Sweep(false))->freed_bytes, 5);
  EXPECT_EQ(FilesIn("files"), 0u);
  EXPECT_EQ(store_->held_bytes(), 0);
}

TEST_F(ArtifactEngineTest, ListsComeNewestFirstInPages) {
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i) {
    ids.push_back(Upload(alice_, "x")->artifact_id);
    clock_.Advance(absl::Milliseconds(1));
  }
  ArtifactQuery query;
  query.limit = 2;
  const ArtifactPage first = *Await(engine_->List(alice_, query));
  ASSERT_EQ(first.artifacts.size(), 2u);
  EXPECT_EQ(first.artifacts[0].artifact_id, ids[2]);
  query.after = first.next;
  const ArtifactPage second = *Await(engine_->List(alice_, query));
  ASSERT_EQ(second.artifacts.size(), 1u);
  EXPECT_EQ(second.artifacts[0].artifact_id, ids[0]);
  EXPECT_TRUE(second.next.empty());
}

TEST(ContentType, IsThatOfTheBytes) {
  EXPECT_EQ(*ContentTypeOf("", "%PDF-1.7"), "application/pdf");
  EXPECT_EQ(*ContentTypeOf("application/pdf", "%PDF-1.7"), "application/pdf");
  EXPECT_EQ(*ContentTypeOf("Text/CSV; charset=utf-8", "a,b\n"), "text/csv");
  EXPECT_FALSE(ContentTypeOf("application/pdf", "<html>").ok());
  EXPECT_FALSE(ContentTypeOf("text/plain", "%PDF-1.7").ok());
  EXPECT_FALSE(ContentTypeOf("", std::string("\x7f"
                                             "ELF\x02\x01\x00",
                                             7))
                   .ok());
  EXPECT_FALSE(ContentTypeOf("application/x-msdownload", "MZ").ok());
}

TEST(ByteRange, IsOneRangeWithinTheFile) {
  const auto parse = [](const char* header) -> std::string {
    const auto range = ParseRange(header, 10);
    if (!range.ok()) return "beyond";
    if (!*range) return "whole";
    return std::to_string((*range)->first) + "+" + std::to_string((*range)->size_bytes);
  };
  EXPECT_EQ(parse("bytes=0-3"), "0+4");
  EXPECT_EQ(parse("bytes=5-"), "5+5");
  EXPECT_EQ(parse("bytes=5-99"), "5+5");
  EXPECT_EQ(parse("bytes=-3"), "7+3");
  EXPECT_EQ(parse("bytes=-99"), "0+10");
  EXPECT_EQ(parse("bytes=10-"), "beyond");
  EXPECT_EQ(parse("bytes=-0"), "beyond");
  for (const char* whole : {"", "bytes", "bytes=", "bytes=-", "bytes=3-1", "bytes=0-1,3-4",
                            "lines=0-1", "bytes=+1-2", "bytes=a-b"}) {
    EXPECT_EQ(parse(whole), "whole") << whole;
  }
}

}  // namespace
}  // namespace slipstream::artifact
