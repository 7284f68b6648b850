// Who is computing a missing value: at most one caller per key holds its lease, the others wait for
// the lease to end or to be killed. A lease is a courtesy that keeps callers from computing the
// same; that a slow fill never brings old data back is the store's FillGuard.
//
// Times are the monotonic clock's. Thread safety: all methods, from any thread.
#ifndef SERVICES_CACHE_LEASE_TABLE_H_
#define SERVICES_CACHE_LEASE_TABLE_H_

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "libs/async/event.h"
#include "libs/sync/mutex.h"
#include "services/cache/cache_store.h"

namespace slipstream::cache {

class LeaseTable {
 public:
  static constexpr size_t kMaxLeasesCount = 65'536;

  struct Granted {};
  struct Held {
    std::shared_ptr<async::Event> ended;  // notified when the lease ends before its time
    uint64_t seen_version = 0;            // of `ended`, to Wait with
    absl::Duration until;
  };
  struct Full {};
  using Answer = std::variant<Granted, Held, Full>;

  // Gives the lease unless another one on the key is alive.
  Answer Acquire(const ScopedKey& key, std::string token, FillGuard guard, absl::Duration now,
                 absl::Duration until);

  // The guard that goes with a live lease of this token.
  std::optional<FillGuard> Find(const ScopedKey& key, std::string_view token,
                                absl::Duration now) const;

  // Ends the lease of this token and wakes those who wait for it.
  void Release(const ScopedKey& key, std::string_view token);

  // Lets the lease of this token end earlier; how to wait for it. Nullopt when it has ended.
  std::optional<Held> Shorten(const ScopedKey& key, std::string_view token, absl::Duration until);

  // Gives the lease of this token another one; false when it has ended.
  bool Rename(const ScopedKey& key, std::string_view token, std::string next);

  // Ends whatever lease there is on the key with this id.
  void Kill(std::string_view id);

  // Forgets leases whose time is over.
  void Sweep(absl::Duration now);

  size_t count() const;

 private:
  struct Lease {
    std::string token;
    FillGuard guard;
    absl::Duration until;
    std::shared_ptr<async::Event> ended;
  };
  static constexpr size_t kStripesCount = 16;
  struct Stripe {
    mutable sync::Mutex mutex;
    absl::flat_hash_map<std::string, Lease> leases ABSL_GUARDED_BY(mutex);  // by ScopedKey::id
  };
  static size_t IndexOf(size_t hash) { return (hash >> 40) % kStripesCount; }
  Stripe& StripeOf(const ScopedKey& key) { return stripes_[IndexOf(key.hash())]; }
  const Stripe& StripeOf(const ScopedKey& key) const { return stripes_[IndexOf(key.hash())]; }

  std::array<Stripe, kStripesCount> stripes_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_LEASE_TABLE_H_
