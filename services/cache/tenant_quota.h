// How many bytes each tenant holds in this process, and which of its entries are its oldest: what a
// quota needs. A tenant's bytes are counted over all shards; its entries are listed per shard, in
// the order they were stored. An entry costs 24 bytes for it, a tenant about 150.
//
// Thread safety: TenantBytes, all methods from any thread (a leaf lock). OwnedEntries is guarded by
// its shard's lock.
#ifndef SERVICES_CACHE_TENANT_QUOTA_H_
#define SERVICES_CACHE_TENANT_QUOTA_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "libs/sync/mutex.h"

namespace slipstream::cache {

class TenantBytes {
 public:
  // 0: there is no quota, and nothing is counted.
  explicit TenantBytes(int64_t quota_bytes) : quota_bytes_(quota_bytes) {}

  bool enabled() const { return quota_bytes_ > 0; }
  void Add(uint64_t owner, int64_t bytes);
  bool IsOver(uint64_t owner) const;

 private:
  static constexpr size_t kStripesCount = 16;
  struct alignas(64) Stripe {
    mutable sync::Mutex mutex;
    absl::flat_hash_map<uint64_t, int64_t> bytes ABSL_GUARDED_BY(mutex);  // above 0
  };
  Stripe& StripeOf(uint64_t owner) { return stripes_[owner % kStripesCount]; }
  const Stripe& StripeOf(uint64_t owner) const { return stripes_[owner % kStripesCount]; }

  const int64_t quota_bytes_;
  std::array<Stripe, kStripesCount> stripes_;
};

// Part of an entry.
struct OwnedLink {
  uint64_t owner = 0;  // 0: nobody's
  OwnedLink* older = nullptr;
  OwnedLink* newer = nullptr;
};

class OwnedEntries {
 public:
  void Add(OwnedLink* link);
  // REQUIRES: it was added.
  void Remove(OwnedLink* link);
  // Null when the owner has none here.
  OwnedLink* Oldest(uint64_t owner) const;

 private:
  struct Ends {
    OwnedLink* oldest = nullptr;
    OwnedLink* newest = nullptr;
  };
  absl::flat_hash_map<uint64_t, Ends> owners_;  // none without entries
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_TENANT_QUOTA_H_
