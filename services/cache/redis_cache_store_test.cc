// The contract on a real Redis: at one node, and written at one and read at another.
#include "services/cache/redis_cache_store.h"

#include "services/cache/cache_store_contract.h"
#include "services/cache/redis_cache_fixture.h"

namespace slipstream::cache {
namespace {

// The store of a node that lives as long as it.
class NodeStore final : public CacheStore {
 public:
  NodeStore(const redis::Options& redis, const std::string& prefix)
      : node_(redis, {.key_prefix = prefix}) {
    EXPECT_TRUE(node_.AwaitAttached());
  }
  bool ReadNow(absl::Span<const ScopedKey> keys, int64_t now_ms,
               absl::Span<EntryRef> found) override {
    return store().ReadNow(keys, now_ms, found);
  }
  Async<void> Read(absl::Span<const ScopedKey> keys, int64_t now_ms, absl::Span<EntryRef> found,
                   absl::Span<bool> from_l2) override {
    return store().Read(keys, now_ms, found, from_l2);
  }
  Async<void> Write(absl::Span<const WriteRequest> writes, int64_t now_ms,
                    absl::Span<WriteResult> results) override {
    return store().Write(writes, now_ms, results);
  }
  Async<absl::StatusOr<Erased>> Erase(absl::Span<const ScopedKey> keys, int64_t now_ms) override {
    return store().Erase(keys, now_ms);
  }
  Async<absl::StatusOr<Invalidated>> Invalidate(Invalidation what) override {
    return store().Invalidate(std::move(what));
  }
  Offset CurrentOffset() const override { return store().CurrentOffset(); }
  Async<SharedLease> AcquireLease(const ScopedKey& key, std::string_view token,
                                  absl::Duration lease, uint64_t seen_version) override {
    return store().AcquireLease(key, token, lease, seen_version);
  }
  Async<void> EndLease(const ScopedKey& key, std::string_view token) override {
    return store().EndLease(key, token);
  }
  bool shares_leases() const override { return true; }
  void SetListener(StoreListener* listener) override { store().SetListener(listener); }
  bool attached() const override { return store().attached(); }
  WatchLog& watch_log() override { return store().watch_log(); }
  void Stop() override { store().Stop(); }
  void Sweep(int64_t now_ms) override { store().Sweep(now_ms); }
  StoreUsage Usage() const override { return store().Usage(); }
  std::optional<SecondTier> second_tier() const override { return store().second_tier(); }
  std::string_view policy() const override { return store().policy(); }

 private:
  RedisCacheStore& store() const { return node_.store(); }
  mutable RedisCacheNode node_;
};

ContractNodes Make(const redis::Options& redis, int count) {
  ContractNodes out;
  out.now_ms = absl::ToUnixMillis(clock::SystemClock().Now());
  const std::string prefix = FreshPrefix();
  for (int i = 0; i < count; ++i) out.nodes.push_back(std::make_unique<NodeStore>(redis, prefix));
  return out;
}

using tests::ACluster;
using tests::OneServer;

// May do no more than the README says.
redis::Options TlsAndAcl() {
  return tests::TlsAndAcl(
      "cache", "{cache}:", "+@read +@write +@scripting +@pubsub +@connection +info +time");
}

std::string NameOf(const testing::TestParamInfo<MakeNodes>& info) {
  static const char* const names[] = {"OneNode", "TwoNodes", "Cluster", "TlsAndAcl"};
  return names[info.index];
}

INSTANTIATE_TEST_SUITE_P(Redis, CacheStoreContract,
                         testing::Values(MakeNodes([] { return Make(OneServer(), 1); }),
                                         MakeNodes([] { return Make(OneServer(), 2); }),
                                         MakeNodes([] { return Make(ACluster(), 2); }),
                                         MakeNodes([] { return Make(TlsAndAcl(), 2); })),
                         NameOf);

}  // namespace
}  // namespace slipstream::cache
