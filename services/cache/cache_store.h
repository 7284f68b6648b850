// The seam between the cache's logic and where entries are kept: batch-shaped and awaitable, so
// that a store behind a network answers many keys in one exchange. What this process holds is
// answered inline by ReadNow.
//
// A store decides alone whether an entry is alive (its time, its tags' epochs, its key's deletes),
// because only it can do so in one step with the read or write. Its contract is
// cache_store_contract.h; every implementation runs it.
//
// Times are Unix milliseconds and absolute, so that copying an entry from one tier to another never
// restarts its life.
//
// Thread safety: all methods, from any thread; coroutines on any executor. What a coroutine is
// given by reference, span or view outlives it. Errors: a read never fails, it misses. Writes and
// invalidations that can't be promised are UNAVAILABLE with a retry delay.
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

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "libs/async/async.h"
#include "services/cache/cache_key.h"
#include "services/cache/invalidation.h"
#include "services/cache/watch_log.h"

namespace slipstream::cache {

// A stored value; never changes once stored, so that readers need no copy.
struct Entry {
  const char* bytes = nullptr;  // id, the caller's key and the value; whoever makes it keeps them
  uint32_t id_size = 0;
  uint32_t user_key_size = 0;
  uint32_t value_size = 0;
  bool negative = false;
  bool compressed = false;  // value() is a frame of ValueCodec
  uint64_t version = 0;
  int64_t stored_at_ms = 0;
  int64_t stale_at_ms = 0;    // never later than the end
  int64_t expires_at_ms = 0;  // at this moment it is gone

  void SetBytes(const char* at, size_t id, size_t user_key, size_t value) {
    bytes = at;
    id_size = static_cast<uint32_t>(id);
    user_key_size = static_cast<uint32_t>(user_key);
    value_size = static_cast<uint32_t>(value);
  }
  std::string_view id() const { return {bytes, id_size}; }
  std::string_view user_key() const { return {bytes + id_size, user_key_size}; }
  std::string_view value() const { return {bytes + id_size + user_key_size, value_size}; }
};
using EntryRef = std::shared_ptr<const Entry>;

// Under which a slow computation may still be stored.
struct FillGuard {
  Offset as_of = 0;           // nothing may have invalidated key or tags since
  uint64_t seen_version = 0;  // no newer value may have come; 0: there was none
};

struct WriteRequest {
  const ScopedKey* key = nullptr;
  std::string_view value;
  bool negative = false;
  bool compressed = false;  // `value` is a frame of ValueCodec
  int64_t stale_at_ms = 0;
  int64_t expires_at_ms = 0;
  absl::Span<const ScopedTag> tags;         // the namespace's own among them
  std::optional<uint64_t> if_version = {};  // 0: only if there is no value
  std::optional<FillGuard> fill = {};
  std::string_view lease_token = {};  // of a fill: what AcquireLease was given
};

struct WriteResult {
  enum Outcome { kStored, kVersionMismatch, kFillRefused, kFailed };
  Outcome outcome = kStored;
  // The version stored; for a mismatch the one that is there, 0 for none.
  uint64_t version = 0;
  bool replaced = false;  // a live value gave way to it
  absl::Status error;     // of kFailed: nothing is promised, it may have been stored
};

enum class EvictionCause { kCapacity, kExpired, kInvalidated, kFenced, kQuota };
inline constexpr size_t kEvictionCauseCount = 5;

// How an invalidation became true everywhere.
struct Invalidated {
  Offset position = 0;
  int confirmed_nodes_count = 1;  // this one included
  int lapsed_nodes_count = 0;     // whose lease ended first: they serve nothing of before
  int64_t erased_count = 0;       // entries of this node that a walk by pattern removed
};

struct Erased {
  std::vector<bool> existed;
  Invalidated done;
};

// Figures of a tier behind this process's memory.
struct SecondTier {
  bool degraded = false;  // away: reads answer from memory or miss
  int64_t hits_count = 0;
  int64_t misses_count = 0;
  int64_t failed_reads_count = 0;  // answered as misses
  int64_t sets_count = 0;
  int64_t deletes_count = 0;
  int64_t not_kept_count = 0;  // values it had no room for
  int64_t bytes = 0;           // of the whole cache
  int64_t max_bytes = 0;
  int64_t entries_count = 0;
  int64_t nodes_count = 0;   // with a lease
  int64_t fences_count = 0;  // how often this node lost its lease
  double read_p50_us = 0;
  double read_p99_us = 0;
  // The server itself; of some seconds ago.
  struct Server {
    std::string version;
    int64_t used_memory_bytes = 0;
    int64_t max_memory_bytes = 0;
    int64_t evicted_keys_count = 0;
    double hit_ratio = 0;
  };
  Server server;
  double command_p50_ms = 0;
  double command_p99_ms = 0;
};

// A lease to compute a value, for which all processes compete.
struct SharedLease {
  enum Result {
    kGranted,
    kHeld,      // by another process: ask again after a hint (StoreListener) or a short time
    kChanged,   // the value is not the one that was seen: read again
    kDetached,  // the store can't tell: only this process's callers are kept apart
  };
  Result result = kGranted;
};

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

// Told by a store what other processes did.
//
// Thread safety: called from any thread, under no lock; does not block.
class StoreListener {
 public:
  virtual ~StoreListener() = default;
  // The lease on the key has ended, or its value has changed.
  virtual void OnKeyEnded(std::string_view id) = 0;
};

class CacheStore {
 public:
  virtual ~CacheStore() = default;

  // What this process can answer at once: found[i] answers keys[i]. False when a null may be a
  // value in another tier: ask Read. REQUIRES: equal sizes.
  virtual bool ReadNow(absl::Span<const ScopedKey> keys, int64_t now_ms,
                       absl::Span<EntryRef> found) = 0;

  // found[i] answers keys[i]; null when there is no live value. from_l2[i]: another tier had it.
  // REQUIRES: equal sizes.
  virtual Async<void> Read(absl::Span<const ScopedKey> keys, int64_t now_ms,
                           absl::Span<EntryRef> found, absl::Span<bool> from_l2) = 0;

  // Each write stands for itself. A key's versions grow, also over a delete: a value never comes
  // back under a version it had. A value that is replaced is served by no node when this is over.
  // REQUIRES: equal sizes.
  virtual Async<void> Write(absl::Span<const WriteRequest> writes, int64_t now_ms,
                            absl::Span<WriteResult> results) = 0;

  // Removes values, and refuses every fill of these keys whose lease is older than this call.
  virtual Async<absl::StatusOr<Erased>> Erase(absl::Span<const ScopedKey> keys, int64_t now_ms) = 0;

  // Every entry stored before that it names is dead on every node when this is over, and fills
  // whose lease is older will be. kTag, kNamespace and kGlob. RESOURCE_EXHAUSTED when too many
  // globs are at work at once.
  virtual Async<absl::StatusOr<Invalidated>> Invalidate(Invalidation what) = 0;

  // Before anything is looked at for a lease: the guard of its fill.
  virtual Offset CurrentOffset() const = 0;
  // Asks for the lease, for the caller whom this process chose (LeaseTable). `seen_version` is that
  // of the value found before, 0 for none.
  virtual Async<SharedLease> AcquireLease(const ScopedKey& key, std::string_view token,
                                          absl::Duration lease, uint64_t seen_version) = 0;
  virtual Async<void> EndLease(const ScopedKey& key, std::string_view token) = 0;
  // A fill may come to another process than the one that gave the lease.
  virtual bool shares_leases() const = 0;
  // Null for none. It outlives the store's use.
  virtual void SetListener(StoreListener* listener) = 0;
  // False while another tier is configured and away: reads answer from here or miss.
  virtual bool attached() const = 0;

  virtual WatchLog& watch_log() = 0;

  // Ends what runs in the background. On a thread that is not the executor's; no call is in
  // progress, and none but Usage and second_tier comes after it.
  virtual void Stop() = 0;

  // To be called about once a second: drops a part of what is dead.
  virtual void Sweep(int64_t now_ms) = 0;

  virtual StoreUsage Usage() const = 0;
  // Nullopt without one.
  virtual std::optional<SecondTier> second_tier() const = 0;
  // Name of the eviction policy.
  virtual std::string_view policy() const = 0;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_CACHE_STORE_H_
