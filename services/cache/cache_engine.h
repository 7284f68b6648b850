// The cache's rules: lifetimes, bounds, staleness, leases and invalidation over a CacheStore.
//
// Keys come as ScopedKey, so the engine can't be asked for an entry outside its caller's scopes.
// What this process's memory can answer is answered inline (GetNow, GetManyNow); the rest are
// coroutines that wait for the store alone. Waiting for another caller's value is the service's
// part.
//
// Thread safety: all methods, from any thread; what a coroutine is given by reference, span or view
// outlives it. Errors: INVALID_ARGUMENT (INVALID_FIELD, names the field), FAILED_PRECONDITION
// (VERSION_MISMATCH, SECRET_REFUSED), and the store's.
#ifndef SERVICES_CACHE_CACHE_ENGINE_H_
#define SERVICES_CACHE_CACHE_ENGINE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "libs/clock/clock.h"
#include "libs/random/random.h"
#include "services/cache/cache_stats.h"
#include "services/cache/cache_store.h"
#include "services/cache/lease_table.h"
#include "services/cache/secret_refusals.h"
#include "services/cache/value_codec.h"

namespace slipstream::cache {

inline constexpr int64_t kMaxTtlMs = int64_t{30} * 24 * 3600 * 1000;

struct EngineOptions {
  // By type; the unspecified one is not used.
  std::array<int64_t, kTypeCount> default_ttl_ms = {0,         300'000,   600'000, 60'000,
                                                    1'800'000, 3'600'000, 900'000, 120'000};
  int64_t max_value_bytes = int64_t{1} << 20;
  // A default lifetime is shortened by up to this share at random, so that what was stored together
  // does not end together. A lifetime the caller states is kept to the millisecond.
  int default_ttl_jitter_percent = 10;
};

// What a read found.
struct Found {
  enum Freshness { kMiss, kFresh, kStale };
  Freshness freshness = kMiss;
  EntryRef entry;  // null on a miss
  int64_t ttl_left_ms = 0;
  int64_t age_ms = 0;
  bool from_l2 = false;
  uint64_t damaged_version = 0;  // of a value that Unpack found damaged

  // Of the value as its writer gave it.
  size_t ValueBytes() const {
    if (entry == nullptr) return 0;
    return entry->compressed ? ValueCodec::RawSize(entry->value()) : entry->value().size();
  }
};

struct SetItem {
  const ScopedKey* key = nullptr;
  std::string_view value;
  const v1::EntryOptions* options = nullptr;
  std::optional<uint64_t> if_version;
  FieldPath field;  // of the SetRequest within the request
};

struct LeaseAnswer {
  enum Result { kHit, kStale, kLeased, kHeld, kBusy };
  Result result = kBusy;
  Found found;            // with kLeased and kHeld the stale value, if any
  std::string token;      // kLeased
  LeaseTable::Held held;  // kHeld: wait for `ended` until `until`, then ask again
};

class CacheEngine final : public StoreListener {
 public:
  static constexpr absl::Duration kDefaultLease = absl::Seconds(10);
  // How long this process waits for a lease of another one before it asks again, when no hint
  // comes.
  static constexpr absl::Duration kSharedLeasePoll = absl::Milliseconds(100);

  // All outlive it. `random` makes lease tokens: fit for secrets.
  struct Deps {
    CacheStore& store;
    const clock::Clock& clock;
    random::Random& random;
  };
  CacheEngine(const Deps& deps, const EngineOptions& options)
      : deps_(deps), options_(options), since_(deps.clock.Now()) {
    deps_.store.SetListener(this);
  }
  ~CacheEngine() override { deps_.store.SetListener(nullptr); }

  // False: the answer may be in another tier; ask Get. Counted when it is true.
  bool GetNow(const ScopedKey& key, Found* found);
  Async<Found> Get(const ScopedKey& key);
  // found[i] answers keys[i]. REQUIRES: equal sizes.
  bool GetManyNow(absl::Span<const ScopedKey> keys, absl::Span<Found> found);
  Async<void> GetMany(absl::Span<const ScopedKey> keys, absl::Span<Found> found);

  // The new version.
  Async<absl::StatusOr<uint64_t>> Set(const SetItem& item);
  // Each for itself.
  Async<std::vector<absl::StatusOr<uint64_t>>> SetMany(absl::Span<const SetItem> items);

  // Kills a lease on the key as well.
  Async<absl::StatusOr<Erased>> Delete(const ScopedKey& key);

  // A key that carries a secret can have no value, so nobody is to compute one. A plain read of it
  // needs no such look: it is a miss.
  absl::Status RefuseSecretKey(const ScopedKey& key, const FieldPath& field) {
    return secrets_.Check(key.user_key(), field, "key");
  }

  // Decides what the caller does next; kHeld is only for callers who still have time to wait.
  Async<LeaseAnswer> GetOrLease(const ScopedKey& key, absl::Duration lease, bool accept_stale);
  // Counts the miss of a caller whose wait was in vain.
  void GaveUpWaiting(const ScopedKey& key) { stats_.Count(key, CacheStats::kMiss); }
  // The new version, or nullopt when the lease has ended or was killed.
  Async<absl::StatusOr<std::optional<uint64_t>>> Fill(const SetItem& item, std::string_view token);
  Async<void> Abandon(const ScopedKey& key, std::string_view token);

  // Makes values that are kept compressed what their writers gave; a damaged one becomes a miss,
  // and is counted. The reads above leave it to their caller, who bounds how much of it there may
  // be.
  void Unpack(absl::Span<Found> found);

  // Tags, a namespace or a glob; keys go by Delete.
  Async<absl::StatusOr<Invalidated>> Invalidate(Invalidation what);
  WatchLog& watch_log() { return deps_.store.watch_log(); }

  // To be called about once a second: drops what has ended, a part of the store at a time.
  void Tick();

  void OnKeyEnded(std::string_view id) override { leases_.Kill(id); }

  struct Stats {
    absl::Time since;
    CacheStats::Snapshot counters;
    StoreUsage held;
    std::optional<SecondTier> second_tier;
    double read_p50_us = 0;
    double read_p99_us = 0;
    int64_t leases_granted_count = 0;
    int64_t leases_count = 0;
    int64_t fills_refused_count = 0;
    int64_t invalidations_count = 0;
    SecretRefusals::Counts secrets_refused{};
    int64_t compression_saved_bytes = 0;
    int64_t damaged_values_count = 0;
    std::string_view policy;
  };
  Stats GetStats() const;

 private:
  struct Lifetime {
    int64_t stale_at_ms;
    int64_t expires_at_ms;
  };
  int64_t NowMs() const { return absl::ToUnixMillis(deps_.clock.Now()); }
  // The entry as of now, uncounted.
  static Found Classify(EntryRef entry, int64_t now_ms);
  void CountReads(absl::Span<const ScopedKey> keys, absl::Span<const Found> found);
  // Unpacked.
  Async<Found> Peek(const ScopedKey& key);
  LeaseAnswer Hit(const ScopedKey& key, LeaseAnswer answer);
  // With the local lease in hand: asks the store, and answers what it means for the caller.
  Async<LeaseAnswer> Compete(const ScopedKey& key, std::string token, LeaseAnswer answer,
                             absl::Duration lease, uint64_t seen_version);
  absl::StatusOr<Lifetime> LifetimeOf(const SetItem& item, int64_t now_ms);
  absl::Status Check(const SetItem& item) const;
  absl::Status RefuseSecrets(const SetItem& item);
  // What a write points to.
  struct Parts {
    std::vector<ScopedTag> tags;
    std::string packed;
  };
  // Checks, and fills in `write` and the parts that it points to.
  absl::Status Prepare(const SetItem& item, int64_t now_ms, Parts* parts, WriteRequest* write);

  const Deps deps_;
  const EngineOptions options_;
  const absl::Time since_;
  CacheStats stats_;
  LeaseTable leases_;
  SecretRefusals secrets_;
  const ValueCodec codec_;
  std::atomic<int64_t> compression_saved_bytes_{0};
  std::atomic<int64_t> damaged_values_count_{0};
  std::atomic<int64_t> leases_granted_count_{0};
  std::atomic<int64_t> fills_refused_count_{0};
  std::atomic<int64_t> invalidations_count_{0};
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_CACHE_ENGINE_H_
