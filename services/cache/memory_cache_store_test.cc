#include "services/cache/memory_cache_store.h"

#include <thread>

#include "gtest/gtest.h"
#include "services/cache/contract_keys.h"

namespace slipstream::cache {
namespace {

// One shard of 1 MiB.
class MemoryCacheStoreTest : public testing::Test {
 protected:
  static constexpr int64_t kNow = 1'767'225'600'000;
  static constexpr int64_t kMaxBytes = 1 << 20;
  static constexpr uint32_t kSlots[] = {3, 77};

  void Write(const std::string& text, size_t bytes) {
    const OwnedKey key(text);
    const std::string value(bytes, 'x');
    WriteRequest write{.key = key.key.get(), .value = value};
    write.stale_at_ms = write.expires_at_ms = kNow + 1000;
    store_.Write(write, {}, kNow);
  }
  WriteResult Copy(const ScopedKey& key, std::string_view value, Offset as_of, uint64_t version,
                   int64_t kept_until_ms = kNow + 1000) {
    WriteRequest write{.key = &key, .value = value};
    write.stale_at_ms = write.expires_at_ms = kNow + 1000;
    write.fill = FillGuard{as_of, 0};
    const MemoryCacheStore::Copy copy{version, kNow - 5, kept_until_ms};
    return store_.Write(write, kSlots, kNow, &copy);
  }
  EntryRef Find(const ScopedKey& key, int64_t now = kNow) {
    EntryRef found;
    store_.Read(absl::MakeConstSpan(&key, 1), now, absl::MakeSpan(&found, 1));
    return found;
  }
  bool Has(const std::string& text) { return Find(OwnedKey(text)) != nullptr; }

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

// Keys of many shards, more than are looked up at once, some twice, some ended and some not there.
TEST(MemoryCacheStoreReadTest, ManyKeysAreReadAsEachAlone) {
  constexpr int64_t kNow = 1'767'225'600'000;
  MemoryCacheStore store({.max_bytes = 8 << 20, .max_value_bytes = 16 << 10});
  ASSERT_EQ(store.parts_count(), 64);
  std::vector<std::unique_ptr<OwnedKey>> owned;
  std::vector<ScopedKey> keys;
  for (int i = 0; i < 300; ++i) {
    // Ids and values of many lengths.
    owned.push_back(std::make_unique<OwnedKey>(std::to_string(i) + std::string(i % 40, 'k')));
    keys.push_back(*owned.back()->key);
    if (i % 3 == 0) continue;
    const std::string value(static_cast<size_t>(i * i % 2000), static_cast<char>('a' + i % 26));
    WriteRequest write{.key = &keys.back(), .value = value};
    write.stale_at_ms = write.expires_at_ms = i % 5 == 0 ? kNow + 1 : kNow + 1000;
    store.Write(write, {}, kNow);
  }
  for (int i = 0; i < 300; i += 7) keys.push_back(keys[static_cast<size_t>(i)]);
  for (const size_t count :
       {size_t{0}, size_t{2}, size_t{63}, size_t{64}, size_t{65}, keys.size()}) {
    std::vector<EntryRef> found(count);
    store.Read(absl::MakeConstSpan(keys).first(count), kNow + 1, absl::MakeSpan(found));
    for (size_t k = 0; k < count; ++k) {
      const int i = static_cast<int>(k < 300 ? k : (k - 300) * 7);
      ASSERT_EQ(found[k] != nullptr, i % 3 != 0 && i % 5 != 0) << k;
      if (found[k] == nullptr) continue;
      EXPECT_EQ(found[k]->id(), keys[k].id());
      EXPECT_EQ(found[k]->value(),
                std::string(static_cast<size_t>(i * i % 2000), static_cast<char>('a' + i % 26)));
    }
  }
  EXPECT_EQ(store.Usage().evictions[static_cast<size_t>(EvictionCause::kExpired)], 40u);
}

TEST_F(MemoryCacheStoreTest, AScanLeavesTheHotSetAlone) {
  for (int i = 0; i < 100; ++i) Write("hot" + std::to_string(i), 1000);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(Has("hot" + std::to_string(i)));
  }
  // Many times what fits, and more between two reads of a hot one than fits.
  for (int i = 0; i < 20'000; ++i) {
    Write("scan" + std::to_string(i), 1000);
    if (i % 10 == 0) Has("hot" + std::to_string(i / 10 % 100));
  }
  int left = 0;
  for (int i = 0; i < 100; ++i) left += Has("hot" + std::to_string(i));
  EXPECT_GE(left, 85);
}

TEST_F(MemoryCacheStoreTest, WhatEndedDoesNotComeBack) {
  Write("k", 10);
  EXPECT_NE(Find(OwnedKey("k"), kNow + 999), nullptr);
  EXPECT_EQ(Find(OwnedKey("k"), kNow + 1000), nullptr);
  EXPECT_EQ(Find(OwnedKey("k"), kNow + 999), nullptr);
}

TEST_F(MemoryCacheStoreTest, ACopyKeepsItsVersionAndAge) {
  const OwnedKey key("k");
  EXPECT_EQ(Copy(key, "v7", store_.CurrentOffset(), 7).outcome, WriteResult::kStored);
  EXPECT_EQ(Find(key)->version, 7u);
  EXPECT_EQ(Find(key)->stored_at_ms, kNow - 5);
  EXPECT_EQ(Copy(key, "v6", store_.CurrentOffset(), 6).outcome, WriteResult::kFillRefused);
  EXPECT_EQ(Copy(key, "v7", store_.CurrentOffset(), 7).outcome, WriteResult::kFillRefused);
  EXPECT_EQ(Copy(key, "v9", store_.CurrentOffset(), 9, kNow + 100).outcome, WriteResult::kStored);
  EXPECT_EQ(Find(key, kNow + 99)->value(), "v9");
  EXPECT_EQ(Find(key, kNow + 99)->expires_at_ms, kNow + 1000) << "the value's own end";
  EXPECT_EQ(Find(key, kNow + 100), nullptr) << "the copy's end";
}

TEST_F(MemoryCacheStoreTest, ACopyTakenBeforeAnInvalidationIsRefused) {
  const OwnedKey key("k");
  const Offset before = store_.CurrentOffset();
  store_.Erase(key.key->id(), key.key->hash(), kNow);
  EXPECT_EQ(Copy(key, "v", before, 1).outcome, WriteResult::kFillRefused);
  const Offset between = store_.CurrentOffset();
  store_.Invalidate(absl::MakeConstSpan(kSlots).subspan(1));
  EXPECT_EQ(Copy(key, "v", between, 1).outcome, WriteResult::kFillRefused);
  const Offset later = store_.CurrentOffset();
  store_.RefuseOlderFills();
  EXPECT_EQ(Copy(key, "v", later, 1).outcome, WriteResult::kFillRefused);
  EXPECT_EQ(Copy(key, "v", store_.CurrentOffset(), 1).outcome, WriteResult::kStored);
}

TEST_F(MemoryCacheStoreTest, AWalkSeesAllAndSparesWhatCameLater) {
  for (int i = 0; i < 200; ++i) Write(std::to_string(i), 10);
  std::vector<std::vector<EntryRef>> listed;
  size_t count = 0;
  for (int part = 0; part < store_.parts_count(); ++part) {
    listed.push_back(store_.List(part));
    count += listed.back().size();
  }
  EXPECT_EQ(count, 200u);
  Write("7", 20);
  int64_t erased = 0;
  for (const auto& part : listed) erased += store_.EraseListed(part);
  EXPECT_EQ(erased, 199);
  EXPECT_TRUE(Has("7"));
  EXPECT_FALSE(Has("8"));
}

TEST_F(MemoryCacheStoreTest, UsageFollowsWhatIsHeld) {
  EXPECT_EQ(store_.Usage().total.entries_count, 0);
  Write("a", 1000);
  Write("b", 2000);
  Write("b", 500);
  StoreUsage usage = store_.Usage();
  EXPECT_EQ(usage.total.entries_count, 2);
  EXPECT_GE(usage.total.bytes, 1500);
  EXPECT_LE(usage.total.bytes, 3500);
  EXPECT_EQ(usage.types[v1::CacheKey::SEARCH_RESULTS].entries_count, 2);
  EXPECT_EQ(usage.namespaces.at("shop").entries_count, 2);
  for (int part = 0; part < store_.parts_count(); ++part) store_.Sweep(part, kNow + 1000);
  usage = store_.Usage();
  EXPECT_EQ(usage.total.entries_count, 0);
  EXPECT_EQ(usage.total.bytes, 0);
  EXPECT_TRUE(usage.namespaces.empty());
  EXPECT_EQ(usage.evictions[static_cast<size_t>(EvictionCause::kExpired)], 2u);
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
      for (int i = 0; i < 5000; ++i) {
        const std::string name = std::to_string((i * 7 + t) % 300);
        if (i % 3 == 0) Write(name, 100);
        Has(name);
        if (i % 500 == 0) store_.Invalidate(kSlots);
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
