// The entries in this process's memory, the first tier of every CacheStore: shards, each with a
// table, an eviction policy and a share of the byte limit.
//
// Thread safety: all methods, from any thread, without waiting. A shard's lock is held for a table
// operation and never while a value is copied.
#ifndef SERVICES_CACHE_MEMORY_CACHE_STORE_H_
#define SERVICES_CACHE_MEMORY_CACHE_STORE_H_

#include <memory>
#include <string_view>
#include <vector>

#include "services/cache/cache_store.h"
#include "services/cache/epoch_table.h"
#include "services/cache/tenant_quota.h"

namespace slipstream::cache {

class MemoryCacheStore final {
 public:
  struct Options {
    // Keys, values and bookkeeping together, the policy's included; an entry heavier than a shard's
    // share is not kept.
    int64_t max_bytes = int64_t{256} << 20;
    // Largest value that must fit: bounds the number of shards, so that a shard holds at least
    // fifteen.
    int64_t max_value_bytes = int64_t{1} << 20;
    // What one owner (ScopedKey::owner) may hold of them; 0: all of it. Over it, the owner's own
    // oldest entries give way, never another's.
    int64_t quota_bytes = 0;
  };
  static constexpr int kMaxShardsCount = 64;

  explicit MemoryCacheStore(const Options& options);
  ~MemoryCacheStore();

  // found[i] answers keys[i]; null when there is no live value. REQUIRES: equal sizes.
  void Read(absl::Span<const ScopedKey> keys, int64_t now_ms, absl::Span<EntryRef> found);

  // What another tier holds and this one takes a copy of.
  struct Copy {
    uint64_t version = 0;  // a copy never takes the place of a newer one
    int64_t stored_at_ms = 0;
    int64_t kept_until_ms = 0;  // the copy's own end; not above the value's
  };
  // `slots` are those of write.tags. REQUIRES: with `copy` there is a write.fill whose as_of was
  // taken before the other tier was asked; seen_version is not looked at.
  WriteResult Write(const WriteRequest& write, absl::Span<const uint32_t> slots, int64_t now_ms,
                    const Copy* copy = nullptr);

  // Removes a value, and refuses every fill of the key whose guard is older than this call. Answers
  // whether it was there.
  bool Erase(std::string_view id, size_t hash, int64_t now_ms);

  // Every entry stored before with one of the slots is dead when this returns, and fills whose
  // guard is older will be.
  void Invalidate(absl::Span<const uint32_t> slots);

  // Refuses every fill whose guard is older: the first step of a walk that erases by pattern.
  void RefuseOlderFills();

  Offset CurrentOffset() const { return epochs_.now(); }

  // A walk over everything in bounded portions: `part` from 0 to parts_count() - 1. Entries stored
  // after a part was listed are not in it.
  int parts_count() const { return static_cast<int>(shards_.size()); }
  std::vector<EntryRef> List(int part) const;
  // Removes exactly these entries; one that was replaced since stays. Answers how many were there.
  int64_t EraseListed(absl::Span<const EntryRef> entries,
                      EvictionCause cause = EvictionCause::kInvalidated);

  // Drops dead entries of one part, so that they do not take room until the next read.
  void Sweep(int part, int64_t now_ms);
  // The next parts in turn: everything in about eight calls.
  void SweepNext(int64_t now_ms);

  StoreUsage Usage() const;
  std::string_view policy() const { return "adaptive"; }

 private:
  struct Liveness;
  struct Node;
  struct Shard;
  // Shards use the high bits of the hash, the tables inside them the low ones.
  size_t ShardIndexOf(size_t hash) const { return (hash >> 48) % shards_.size(); }
  Shard& ShardOf(size_t hash) const { return *shards_[ShardIndexOf(hash)]; }
  // At most ShardGroups::kMaxKeysCount.
  void ReadSome(absl::Span<const ScopedKey> keys, int64_t now_ms, absl::Span<EntryRef> found);
  WriteResult WriteIn(Shard& shard, const WriteRequest& write, absl::Span<const uint32_t> slots,
                      int64_t now_ms, const Copy* copy);
  // `first`, where the write was, has nothing else of the owner's to give.
  void KeepToQuota(uint64_t owner, size_t first);

  const Options options_;
  TenantBytes tenant_bytes_;
  EpochTable epochs_;      // of tags and namespaces; its counter is the store's offset
  EpochTable key_epochs_;  // of deletes; only fills look at it
  std::atomic<Offset> fills_refused_before_{0};
  std::vector<std::unique_ptr<Shard>> shards_;
  std::atomic<unsigned> next_sweep_{0};
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_MEMORY_CACHE_STORE_H_
