// What every AuditLog promises, run against each implementation.
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "libs/audit/file_audit_log.h"
#include "libs/audit/memory_audit_log.h"
#include "libs/clock/fake_clock.h"

namespace slipstream::audit {
namespace {

constexpr size_t kMemoryEntryCount = 100;

class AuditLogContractTest : public testing::TestWithParam<const char*> {
 protected:
  AuditLogContractTest() {
    AuditLogOptions options;
    options.memory_entry_count = kMemoryEntryCount;
    if (std::string(GetParam()) == "File") {
      options.file.path =
          testing::TempDir() + "/contract_" + std::to_string(++file_count_) + ".jsonl";
      std::filesystem::remove(options.file.path);
    }
    log_ = *OpenAuditLog(options, clock_, random_, {});
  }

  AuditEntry Entry(std::string user, std::string action = "a/B") {
    AuditEntry entry;
    entry.user = std::move(user);
    entry.action = std::move(action);
    return entry;
  }
  std::vector<std::string> Users(const AuditQuery& query) {
    std::vector<std::string> users;
    for (const AuditEntry& entry : log_->List(query).entries) users.push_back(entry.user);
    return users;
  }

  static inline int file_count_ = 0;
  clock::FakeClock clock_;
  random::SeededRandom random_{7};
  std::unique_ptr<AuditLog> log_;
};

using Strings = std::vector<std::string>;

TEST_P(AuditLogContractTest, ListsLatestFirst) {
  EXPECT_TRUE(log_->List({}).entries.empty());
  for (const char* user : {"a", "b", "c"}) {
    EXPECT_TRUE(log_->Record(Entry(user)));
    clock_.Advance(absl::Seconds(1));
  }
  EXPECT_EQ(Users({}), (Strings{"c", "b", "a"}));
  EXPECT_EQ(log_->List({}).next_before_sequence, 0u);
  EXPECT_EQ(log_->List({}).entries[0].occurred_at, clock_.Now() - absl::Seconds(1));
  EXPECT_EQ(log_->Stats().recorded_total, 3u);
}

TEST_P(AuditLogContractTest, KeepsTheFirstOfTwoWithOneId) {
  AuditEntry entry = Entry("first");
  entry.entry_id = "same";
  EXPECT_TRUE(log_->Record(entry));
  entry.user = "second";
  EXPECT_FALSE(log_->Record(entry));
  EXPECT_EQ(Users({}), Strings{"first"});
  EXPECT_EQ(log_->Stats().recorded_total, 1u);
}

TEST_P(AuditLogContractTest, Filters) {
  AuditEntry one = Entry("alice", "x/One");
  one.tenant = "acme";
  one.correlation_id = "c-1";
  one.result = Result::kDenied;
  log_->Record(one);
  clock_.Advance(absl::Seconds(10));
  log_->Record(Entry("bob", "x/Two"));
  EXPECT_EQ(Users({.user = "alice"}), Strings{"alice"});
  EXPECT_EQ(Users({.tenant = "acme"}), Strings{"alice"});
  EXPECT_EQ(Users({.action = "x/Two"}), Strings{"bob"});
  EXPECT_EQ(Users({.correlation_id = "c-1"}), Strings{"alice"});
  EXPECT_EQ(Users({.result = Result::kDenied}), Strings{"alice"});
  EXPECT_EQ(Users({.result = Result::kFailed}), Strings{});
  EXPECT_EQ(Users({.user = "alice", .action = "x/Two"}), Strings{});
  EXPECT_EQ(Users({.start_time = clock_.Now()}), Strings{"bob"});
  EXPECT_EQ(Users({.end_time = clock_.Now()}), Strings{"alice"});
}

TEST_P(AuditLogContractTest, PagesWithoutGapOrRepeatWhileEntriesArrive) {
  for (int i = 0; i < 10; ++i) log_->Record(Entry(std::to_string(i), i % 2 == 0 ? "e" : "o"));
  AuditQuery query{.action = "e", .max_entry_count = 2};
  Strings seen;
  do {
    const AuditPage page = log_->List(query);
    for (const AuditEntry& entry : page.entries) seen.push_back(entry.user);
    EXPECT_LE(page.entries.size(), 2u);
    query.before_sequence = page.next_before_sequence;
    log_->Record(Entry("late", "e"));
  } while (query.before_sequence != 0);
  EXPECT_EQ(seen, (Strings{"8", "6", "4", "2", "0"}));
}

TEST_P(AuditLogContractTest, HoldsTheLatestOnly) {
  for (size_t i = 0; i < kMemoryEntryCount + 5; ++i) log_->Record(Entry(std::to_string(i)));
  const AuditPage page = log_->List({.max_entry_count = 1'000'000});
  EXPECT_EQ(page.entries.size(), kMemoryEntryCount);
  EXPECT_EQ(page.entries.back().user, "5");
  EXPECT_EQ(log_->List({.before_sequence = 3}).entries.size(), 0u) << "dropped meanwhile";
}

TEST_P(AuditLogContractTest, SecretsAreMasked) {
  AuditEntry entry = Entry("alice");
  entry.before = "password=hunter2";
  log_->Record(entry);
  EXPECT_EQ(log_->List({}).entries[0].before, "password=***");
}

TEST_P(AuditLogContractTest, ManyThreadsRecord) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        log_->Record(Entry("user"));
        log_->List({.max_entry_count = 5});
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(log_->Flush(absl::Seconds(30)));
  EXPECT_EQ(log_->Stats().recorded_total, 800u);
  EXPECT_EQ(log_->Stats().lost_total, 0u);
}

INSTANTIATE_TEST_SUITE_P(Logs, AuditLogContractTest, testing::Values("Memory", "File"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace slipstream::audit
