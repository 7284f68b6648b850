// This node's lease on what it holds: as long as it is valid, every invalidation waits for this
// node to confirm. Whoever serves from memory looks at it.
//
// A session is the time between two joins. What was read, or taken from elsewhere, in one session
// counts no more in the next.
//
// Thread safety: all methods, from any thread; lock-free. Errors: none.
#ifndef SERVICES_CACHE_NODE_LEASE_H_
#define SERVICES_CACHE_NODE_LEASE_H_

#include <atomic>
#include <cstdint>
#include <limits>

#include "absl/time/time.h"
#include "libs/clock/clock.h"

namespace slipstream::cache {

class NodeLease {
 public:
  // `clock` outlives it; its Monotonic() must go on while the machine sleeps.
  explicit NodeLease(const clock::Clock& clock) : clock_(clock) {}

  bool Valid() const {
    return absl::ToInt64Nanoseconds(clock_.Monotonic()) < until_ns_.load(std::memory_order_acquire);
  }
  uint64_t session() const { return session_.load(std::memory_order_acquire); }
  bool ValidIn(uint64_t session) const { return Valid() && this->session() == session; }

  // Ends the session and the lease; answers the session that begins with the next Extend.
  uint64_t Fence() {
    until_ns_.store(0, std::memory_order_release);
    return session_.fetch_add(1, std::memory_order_acq_rel) + 1;
  }
  // Only for the session in which the renewal was asked for.
  void Extend(uint64_t session, absl::Duration until) {
    if (this->session() != session) return;
    until_ns_.store(absl::ToInt64Nanoseconds(until), std::memory_order_release);
    last_until_ns_.store(absl::ToInt64Nanoseconds(until), std::memory_order_release);
    // A Fence between the look and the store.
    if (this->session() != session) until_ns_.store(0, std::memory_order_release);
  }
  // When the latest lease ended or will end; long ago if there was none.
  absl::Duration last_until() const {
    return absl::Nanoseconds(last_until_ns_.load(std::memory_order_acquire));
  }

 private:
  const clock::Clock& clock_;
  std::atomic<int64_t> until_ns_{0};
  std::atomic<int64_t> last_until_ns_{std::numeric_limits<int64_t>::min() / 2};
  std::atomic<uint64_t> session_{1};
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_NODE_LEASE_H_
