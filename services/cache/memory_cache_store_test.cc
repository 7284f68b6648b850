#include "services/cache/memory_cache_store.h"

#include <thread>

#include "services/cache/cache_store_contract.h"

namespace slipstream::cache {
namespace {

INSTANTIATE_TEST_SUITE_P(Memory, CacheStoreContract, testing::Values([] {
                           return std::make_unique<MemoryCacheStore>(MemoryCacheStore::Options{});
                         }));

// One shard of 1 MiB.
class MemoryCacheStoreTest : public testing::Test {
 protected:
  static constexpr int64_t kNow = 1'767'225'600'000;
  static constexpr int64_t kMaxBytes = 1 << 20;

  void Write(const std::string& text, size_t bytes) {
    const OwnedKey key(text);
    const std::string value(bytes, 'x');
    WriteRequest write{.key = key.key.get(), .value = value};
    write.stale_at_ms = write.expires_at_ms = kNow + 1000;
    WriteResult result;
    store_.Write(absl::MakeConstSpan(&write, 1), kNow, absl::MakeSpan(&result, 1));
  }
  bool Has(const std::string& text) {
    const OwnedKey key(text);
    EntryRef found;
    store_.Read(absl::MakeConstSpan(key.key.get(), 1), kNow, absl::MakeSpan(&found, 1));
    return found != nullptr;
  }

  MemoryCacheStore store_{{.max_bytes = kMaxBytes, .max_value_bytes = kMaxBytes}};
};

TEST_F(MemoryCacheStoreTest, KeepsToItsBytes) {
  for (int i = 0; i < 5000; ++i) {
    Write(std::to_string(i), 1000);
    if (i % 100 == 0) ASSERT_LE(store_.Usage().total.bytes, kMaxBytes);
  }
  const StoreUsage usage = store_.Usage();
  EXPECT_LE(usage.total.bytes, kMaxBytes);
  EXPECT_GT(usage.total.bytes, kMaxBytes * 9 / 10);
  EXPECT_EQ(static_cast<int64_t>(usage.evictions[0]) + usage.total.entries_count, 5000);
}

TEST_F(MemoryCacheStoreTest, AScanLeavesTheHotSetAlone) {
  for (int i = 0; i < 100; ++i) Write("hot" + std::to_string(i), 1000);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(Has("hot" + std::to_string(i)));
  }
  for (int i = 0; i < 20'000; ++i) Write("scan" + std::to_string(i), 1000);
  int left = 0;
  for (int i = 0; i < 100; ++i) left += Has("hot" + std::to_string(i));
  EXPECT_EQ(left, 100);
}

TEST_F(MemoryCacheStoreTest, WhatIsTooHeavyIsNotKept) {
  Write("small", 10);
  Write("huge", kMaxBytes + 1);
  EXPECT_FALSE(Has("huge"));
  EXPECT_LE(store_.Usage().total.bytes, kMaxBytes);
}

TEST_F(MemoryCacheStoreTest, AMillionOverwritesDoNotGrowIt) {
  for (int i = 0; i < 1'000'000; ++i) Write(std::to_string(i % 50), static_cast<size_t>(i % 97));
  const StoreUsage usage = store_.Usage();
  EXPECT_EQ(usage.total.entries_count, 50);
  EXPECT_LT(usage.total.bytes, 50 * 600);
}

TEST_F(MemoryCacheStoreTest, ThreadsReadWriteAndInvalidateTogether) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      const auto alice = ContractUser("alice");
      for (int i = 0; i < 5000; ++i) {
        const std::string name = std::to_string((i * 7 + t) % 300);
        if (i % 3 == 0) Write(name, 100);
        Has(name);
        if (i % 500 == 0) store_.Invalidate(*CallerScopes(alice).Namespace("shop"));
        if (i % 700 == 0) store_.Sweep(0, kNow);
        if (i % 900 == 0) store_.EraseListed(store_.List(0));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (int part = 0; part < store_.parts_count(); ++part) {
    store_.Sweep(part, kNow + 1000);
    store_.EraseListed(store_.List(part));
  }
  EXPECT_EQ(store_.Usage().total.bytes, 0);
}

}  // namespace
}  // namespace slipstream::cache
