// CacheStore in this process alone: MemoryCacheStore, without another tier.
//
// Thread safety: as CacheStore says. Nothing waits but a walk by pattern.
#ifndef SERVICES_CACHE_LOCAL_CACHE_STORE_H_
#define SERVICES_CACHE_LOCAL_CACHE_STORE_H_

#include <string>

#include "services/cache/memory_cache_store.h"
#include "services/cache/tag_slots.h"

namespace slipstream::cache {

class LocalCacheStore final : public CacheStore {
 public:
  // `seed` of the tags' slots: random. `epoch` names this life of the process in positions.
  LocalCacheStore(const MemoryCacheStore::Options& options, uint64_t seed, std::string epoch)
      : memory_(options), slots_(seed), watch_log_(std::move(epoch)) {}

  bool ReadNow(absl::Span<const ScopedKey> keys, int64_t now_ms,
               absl::Span<EntryRef> found) override {
    memory_.Read(keys, now_ms, found);
    return true;
  }
  Async<void> Read(absl::Span<const ScopedKey> keys, int64_t now_ms, absl::Span<EntryRef> found,
                   absl::Span<bool> from_l2) override;
  Async<void> Write(absl::Span<const WriteRequest> writes, int64_t now_ms,
                    absl::Span<WriteResult> results) override;
  Async<absl::StatusOr<Erased>> Erase(absl::Span<const ScopedKey> keys, int64_t now_ms) override;
  Async<absl::StatusOr<Invalidated>> Invalidate(Invalidation what) override;
  Offset CurrentOffset() const override { return memory_.CurrentOffset(); }
  Async<SharedLease> AcquireLease(const ScopedKey& key, std::string_view token,
                                  absl::Duration lease, uint64_t seen_version) override;
  Async<void> EndLease(const ScopedKey& key, std::string_view token) override;
  bool shares_leases() const override { return false; }
  void SetListener(StoreListener*) override {}
  bool attached() const override { return true; }
  WatchLog& watch_log() override { return watch_log_; }
  void Stop() override {}
  void Sweep(int64_t now_ms) override { memory_.SweepNext(now_ms); }
  StoreUsage Usage() const override { return memory_.Usage(); }
  std::optional<SecondTier> second_tier() const override { return std::nullopt; }
  std::string_view policy() const override { return memory_.policy(); }

 private:
  MemoryCacheStore memory_;
  const TagSlots slots_;
  WatchLog watch_log_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_LOCAL_CACHE_STORE_H_
