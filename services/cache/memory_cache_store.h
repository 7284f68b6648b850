// CacheStore in this process's memory: shards, each with a table, an S3-FIFO and a share of the
// byte limit.
//
// Thread safety: as CacheStore says. A shard's lock is held for a table operation and never while
// a value is copied.
#ifndef SERVICES_CACHE_MEMORY_CACHE_STORE_H_
#define SERVICES_CACHE_MEMORY_CACHE_STORE_H_

#include <memory>
#include <string_view>
#include <vector>

#include "services/cache/cache_store.h"
#include "services/cache/epoch_table.h"

namespace slipstream::cache {

class MemoryCacheStore final : public CacheStore {
 public:
  struct Options {
    // Keys, values and bookkeeping together; an entry heavier than a shard's share is not kept.
    int64_t max_bytes = int64_t{256} << 20;
    // Largest value that must fit: bounds the number of shards, so that a shard holds at least
    // four.
    int64_t max_value_bytes = int64_t{1} << 20;
  };
  static constexpr int kMaxShardsCount = 64;

  explicit MemoryCacheStore(const Options& options);
  ~MemoryCacheStore() override;

  void Read(absl::Span<const ScopedKey> keys, int64_t now_ms, absl::Span<EntryRef> found) override;
  void Write(absl::Span<const WriteRequest> writes, int64_t now_ms,
             absl::Span<WriteResult> results) override;
  std::vector<bool> Erase(absl::Span<const ScopedKey> keys, int64_t now_ms) override;
  Offset Invalidate(absl::Span<const ScopedTag> tags) override;
  Offset RefuseOlderFills() override;
  Offset CurrentOffset() const override { return epochs_.now(); }
  int parts_count() const override { return static_cast<int>(shards_.size()); }
  std::vector<EntryRef> List(int part) const override;
  int64_t EraseListed(absl::Span<const EntryRef> entries) override;
  void Sweep(int part, int64_t now_ms) override;
  StoreUsage Usage() const override;
  std::string_view policy() const override { return "s3fifo"; }

 private:
  struct Node;
  struct Shard;
  // Shards use the high bits of the hash, the tables inside them the low ones.
  Shard& ShardOf(size_t hash) const { return *shards_[(hash >> 48) % shards_.size()]; }
  WriteResult WriteOne(const WriteRequest& write, int64_t now_ms);

  const Options options_;
  EpochTable epochs_;      // of tags and namespaces; its counter is the store's offset
  EpochTable key_epochs_;  // of deletes; only fills look at it
  std::atomic<Offset> fills_refused_before_{0};
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_MEMORY_CACHE_STORE_H_
