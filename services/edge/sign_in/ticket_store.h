// One-use tickets for a WebSocket's URL, where a token must not stand: a URL ends up in logs.
//
// A ticket is 32 random bytes in base64url, good for kLifetime and one use at the edge that gave
// it. It stands for the token it was bought with, and no longer than that.
//
// Bounds: kMaxCount tickets, kMaxPerUserCount of one user.
// Thread safety: all methods from any thread.
#ifndef SERVICES_EDGE_SIGN_IN_TICKET_STORE_H_
#define SERVICES_EDGE_SIGN_IN_TICKET_STORE_H_

#include <deque>
#include <optional>
#include <string>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/clock/clock.h"
#include "libs/random/random.h"
#include "libs/sync/mutex.h"

namespace slipstream::edge {

class TicketStore {
 public:
  static constexpr absl::Duration kLifetime = absl::Seconds(30);
  static constexpr size_t kMaxCount = 10'000;
  static constexpr int kMaxPerUserCount = 20;

  TicketStore(const clock::Clock& clock, random::Random& random) : clock_(clock), random_(random) {}

  // RESOURCE_EXHAUSTED, reason TOO_MANY_TICKETS, beyond a bound.
  absl::StatusOr<std::string> Issue(const std::string& user, const std::string& token);
  // The token, once; nullopt for a ticket that is unknown, used or expired.
  std::optional<std::string> Redeem(const std::string& ticket);

 private:
  struct Entry {
    std::string user;
    std::string token;
    absl::Duration expires_at;  // monotonic
  };
  void DropExpired() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CountUser(const std::string& user, int change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const clock::Clock& clock_;
  random::Random& random_;
  sync::Mutex mutex_;
  std::unordered_map<std::string, Entry> tickets_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<std::string, int> users_ ABSL_GUARDED_BY(mutex_);
  // Oldest first, with tickets that are used already.
  std::deque<std::pair<absl::Duration, std::string>> by_expiry_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_SIGN_IN_TICKET_STORE_H_
