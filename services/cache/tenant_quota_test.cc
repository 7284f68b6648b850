#include "services/cache/tenant_quota.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "services/cache/contract_keys.h"
#include "services/cache/memory_cache_store.h"

namespace slipstream::cache {
namespace {

constexpr int64_t kNow = 1'767'225'600'000;
constexpr int64_t kMaxBytes = 4 << 20;
constexpr int64_t kQuotaBytes = 1 << 20;

// Many small shards, so that a tenant's entries are spread over all.
class TenantQuotaTest : public testing::Test {
 protected:
  void Write(const std::string& text, const std::string& user, size_t bytes = 1000) {
    const OwnedKey key(text, user);
    const std::string value(bytes, 'x');
    WriteRequest write{.key = key.key.get(), .value = value};
    write.stale_at_ms = write.expires_at_ms = kNow + 1000;
    EXPECT_EQ(store_.Write(write, {}, kNow).outcome, WriteResult::kStored);
  }
  bool Has(const std::string& text, const std::string& user) {
    const OwnedKey key(text, user);
    EntryRef found;
    store_.Read(absl::MakeConstSpan(key.key.get(), 1), kNow, absl::MakeSpan(&found, 1));
    return found != nullptr;
  }
  int64_t Held() { return store_.Usage().total.bytes; }
  uint64_t Evicted(EvictionCause cause) {
    return store_.Usage().evictions[static_cast<size_t>(cause)];
  }

  MemoryCacheStore store_{
      {.max_bytes = kMaxBytes, .max_value_bytes = 16'000, .quota_bytes = kQuotaBytes}};
};

TEST_F(TenantQuotaTest, ATenantKeepsToItAndItsOldestGiveWay) {
  for (int i = 0; i < 10'000; ++i) {
    Write(std::to_string(i), "alice");
    if (i % 500 == 0) ASSERT_LE(Held(), kQuotaBytes);
  }
  EXPECT_LE(Held(), kQuotaBytes);
  EXPECT_GT(Held(), kQuotaBytes * 8 / 10);
  EXPECT_GT(Evicted(EvictionCause::kQuota), 8'000u);
  EXPECT_EQ(Evicted(EvictionCause::kCapacity), 0u);
  EXPECT_TRUE(Has("9999", "alice"));
  int old = 0;
  for (int i = 0; i < 1000; ++i) old += Has(std::to_string(i), "alice");
  EXPECT_EQ(old, 0);
}

TEST_F(TenantQuotaTest, AnothersEntriesStay) {
  for (int i = 0; i < 300; ++i) Write(std::to_string(i), "bob");
  for (int i = 0; i < 10'000; ++i) Write(std::to_string(i), "alice");
  for (int i = 0; i < 300; ++i) EXPECT_TRUE(Has(std::to_string(i), "bob")) << i;
}

TEST_F(TenantQuotaTest, FewLargeValuesCountAcrossShards) {
  for (int i = 0; i < 200; ++i) {
    Write(std::to_string(i), "alice", 15'000);
    ASSERT_LE(Held(), kQuotaBytes) << i;
    ASSERT_TRUE(Has(std::to_string(i), "alice")) << "what was written last stays";
  }
  EXPECT_GT(Held(), kQuotaBytes * 8 / 10);
}

TEST_F(TenantQuotaTest, WhatIsOverwrittenOrRemovedNoLongerCounts) {
  for (int i = 0; i < 5000; ++i) Write("same", "alice", 10'000);
  EXPECT_EQ(Evicted(EvictionCause::kQuota), 0u);
  for (int i = 0; i < 500; ++i) {
    const std::string text = std::to_string(i);
    Write(text, "alice", 10'000);
    const OwnedKey key(text, "alice");
    EXPECT_TRUE(store_.Erase(key.key->id(), key.key->hash(), kNow));
  }
  EXPECT_EQ(Evicted(EvictionCause::kQuota), 0u);
}

TEST_F(TenantQuotaTest, WithoutAQuotaNothingIsCounted) {
  MemoryCacheStore store({.max_bytes = kMaxBytes, .max_value_bytes = 16'000});
  const std::string value(1000, 'x');
  for (int i = 0; i < 10'000; ++i) {
    const OwnedKey key(std::to_string(i));
    WriteRequest write{.key = key.key.get(), .value = value};
    write.stale_at_ms = write.expires_at_ms = kNow + 1000;
    store.Write(write, {}, kNow);
  }
  EXPECT_GT(store.Usage().total.bytes, kMaxBytes / 2);
}

TEST(OwnedEntriesTest, KeepsTheOrderThroughAllRemovals) {
  std::mt19937 random(1);
  OwnedLink links[64];
  std::vector<OwnedLink*> in;  // oldest first
  OwnedEntries entries;
  for (int step = 0; step < 10'000; ++step) {
    OwnedLink* link = &links[random() % 64];
    const auto it = std::find(in.begin(), in.end(), link);
    if (it == in.end()) {
      link->owner = 7;
      entries.Add(link);
      in.push_back(link);
    } else {
      entries.Remove(link);
      in.erase(it);
    }
    ASSERT_EQ(entries.Oldest(7), in.empty() ? nullptr : in.front());
    ASSERT_EQ(entries.Oldest(8), nullptr);
  }
}

}  // namespace
}  // namespace slipstream::cache
