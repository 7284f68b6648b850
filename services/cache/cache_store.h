// The seam between the cache's logic and where entries are kept: batch-shaped, so that a store
// behind a network answers many keys in one exchange.
//
// A store decides alone whether an entry is alive (its time, its tags' epochs, its key's deletes),
// because only it can do so in one step with the read or write. Its contract is
// cache_store_contract.h; every implementation runs it.
//
// Times are Unix milliseconds and absolute, so that copying an entry from one tier to another never
// restarts its life.
//
// Thread safety: all methods, from any thread, without waiting.
#ifndef SERVICES_CACHE_CACHE_STORE_H_
#define SERVICES_CACHE_CACHE_STORE_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "services/cache/cache_key.h"

namespace slipstream::cache {

// A stored value; never changes once stored, so that readers need no copy.
struct Entry {
  std::string bytes;  // id, the caller's key and the value in one piece
  uint32_t id_size = 0;
  uint32_t user_key_size = 0;
  bool negative = false;
  uint64_t version = 0;
  int64_t stored_at_ms = 0;
  int64_t stale_at_ms = 0;    // never later than the end
  int64_t expires_at_ms = 0;  // at this moment it is gone

  std::string_view id() const { return std::string_view(bytes).substr(0, id_size); }
  std::string_view user_key() const {
    return std::string_view(bytes).substr(id_size, user_key_size);
  }
  std::string_view value() const {
    return std::string_view(bytes).substr(size_t{id_size} + user_key_size);
  }
};
using EntryRef = std::shared_ptr<const Entry>;

// A position in the store's invalidations: grows with each.
using Offset = uint64_t;

// Under which a slow computation may still be stored.
struct FillGuard {
  Offset as_of = 0;           // nothing may have invalidated key or tags since
  uint64_t seen_version = 0;  // no newer value may have come; 0: there was none
};

struct WriteRequest {
  const ScopedKey* key = nullptr;
  std::string_view value;
  bool negative = false;
  int64_t stale_at_ms = 0;
  int64_t expires_at_ms = 0;
  absl::Span<const ScopedTag> tags;         // the namespace's own among them
  std::optional<uint64_t> if_version = {};  // 0: only if there is no value
  std::optional<FillGuard> fill = {};
};

struct WriteResult {
  enum Outcome { kStored, kVersionMismatch, kFillRefused };
  Outcome outcome = kStored;
  // The version stored; for a mismatch the one that is there, 0 for none.
  uint64_t version = 0;
};

enum class EvictionCause { kCapacity, kExpired, kInvalidated };
inline constexpr size_t kEvictionCauseCount = 3;

// What is held, and why entries left; sampled, not one moment over all shards.
struct StoreUsage {
  struct Held {
    int64_t bytes = 0;
    int64_t entries_count = 0;
  };
  Held total;
  std::array<Held, kTypeCount> types{};
  std::map<std::string, Held, std::less<>> namespaces;
  std::array<uint64_t, kEvictionCauseCount> evictions{};
  int64_t max_bytes = 0;
};

class CacheStore {
 public:
  virtual ~CacheStore() = default;

  // found[i] answers keys[i]; null when there is no live value. REQUIRES: equal sizes.
  virtual void Read(absl::Span<const ScopedKey> keys, int64_t now_ms,
                    absl::Span<EntryRef> found) = 0;

  // Each write stands for itself. A key's versions grow by one from 1, also over a delete: a value
  // never comes back under a version it had. REQUIRES: equal sizes.
  virtual void Write(absl::Span<const WriteRequest> writes, int64_t now_ms,
                     absl::Span<WriteResult> results) = 0;

  // Removes values, and refuses every fill of these keys whose guard is older than this call.
  // Answers which were there.
  virtual std::vector<bool> Erase(absl::Span<const ScopedKey> keys, int64_t now_ms) = 0;

  // Every entry stored before with one of the tags is dead when this returns, and fills whose guard
  // is older will be.
  virtual Offset Invalidate(absl::Span<const ScopedTag> tags) = 0;

  // Refuses every fill whose guard is older: the first step of a walk that erases by pattern.
  virtual Offset RefuseOlderFills() = 0;

  virtual Offset CurrentOffset() const = 0;

  // A walk over everything in bounded portions: `part` from 0 to parts_count() - 1. Entries stored
  // after a part was listed are not in it.
  virtual int parts_count() const = 0;
  virtual std::vector<EntryRef> List(int part) const = 0;
  // Removes exactly these entries as invalidated; one that was replaced since stays. Answers how
  // many were there.
  virtual int64_t EraseListed(absl::Span<const EntryRef> entries) = 0;

  // Drops dead entries of one part, so that they do not take room until the next read.
  virtual void Sweep(int part, int64_t now_ms) = 0;

  virtual StoreUsage Usage() const = 0;
  // Name of the eviction policy.
  virtual std::string_view policy() const = 0;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_CACHE_STORE_H_
