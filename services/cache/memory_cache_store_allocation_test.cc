// A hit of the first tier allocates nothing: counted by this binary's own operator new.
#include <atomic>
#include <cstdlib>
#include <new>

#include "gtest/gtest.h"
#include "services/cache/contract_keys.h"
#include "services/cache/memory_cache_store.h"

namespace {
std::atomic<int64_t> allocations_count{0};
}  // namespace

void* operator new(size_t bytes) {
  allocations_count.fetch_add(1, std::memory_order_relaxed);
  if (void* const out = std::malloc(bytes)) return out;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace slipstream::cache {
namespace {

constexpr int64_t kNow = 1'767'225'600'000;

// Small: every key is in the shadows. Large: a sample, and some values are evicted.
class HitAllocationTest : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Sizes, HitAllocationTest, testing::Values(50, 5000));

TEST_P(HitAllocationTest, AHitAllocatesNothing) {
  MemoryCacheStore store({.max_bytes = 4 << 20, .max_value_bytes = 1 << 20});
  std::vector<OwnedKey> keys;
  for (int i = 0; i < GetParam(); ++i) keys.emplace_back(std::to_string(i));
  const std::string value(700, 'x');
  const uint32_t slot = 7;
  for (const auto& key : keys) {
    WriteRequest write{.key = key.key.get(), .value = value};
    write.stale_at_ms = write.expires_at_ms = kNow + 1000;
    store.Write(write, absl::MakeConstSpan(&slot, 1), kNow);
  }
  int64_t hits = 0, allocated = 0;
  for (int round = 0; round < 20; ++round) {
    for (const auto& key : keys) {
      EntryRef found;
      const int64_t before = allocations_count.load();
      store.Read(absl::MakeConstSpan(key.key.get(), 1), kNow, absl::MakeSpan(&found, 1));
      if (found == nullptr) continue;
      ++hits;
      allocated += allocations_count.load() - before;
    }
  }
  EXPECT_GT(hits, 20 * GetParam() / 3);
  EXPECT_EQ(allocated, 0);
}

}  // namespace
}  // namespace slipstream::cache
