// How many connections an address may have and how many for events a user, and how often an address
// may try.
//
// Where peers are the clients themselves, a connection counts against its address from accept on,
// whatever it is used for: Arrive. Behind proxies the client is known only once a request has been
// read, so that Enter counts the connections for events, WebSocket and SSE together.
//
// An address that was refused as often in a minute as it may try is not listened to until the
// minute is over: closing costs a tenth of an answer.
//
// Thread safety: all methods from any thread.
// Errors: RESOURCE_EXHAUSTED with a retry delay and reason TOO_MANY_CONNECTIONS,
// TOO_MANY_HANDSHAKES or TOO_MANY_FAILED_SIGN_INS.
#ifndef SERVICES_EDGE_SIGN_IN_CONNECTION_LIMITS_H_
#define SERVICES_EDGE_SIGN_IN_CONNECTION_LIMITS_H_

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/clock/clock.h"
#include "libs/sync/mutex.h"

namespace slipstream::edge {

struct ConnectionLimitOptions {
  int max_user_connections_count = 10;
  int max_address_connections_count = 100;
  // As many at once as an address may have connections (or a sixth of these, if that is more), and
  // then as they come back over the minute: a flood's are spread.
  int max_address_handshakes_per_minute_count = 600;
  // In any minute that begins with an address's first try.
  int max_address_failed_sign_ins_per_minute_count = 30;
  // Connections come from proxies, which tell their clients' addresses in X-Forwarded-For.
  bool behind_proxies = false;
};

class ConnectionLimits {
 public:
  ConnectionLimits(ConnectionLimitOptions options, const clock::Clock& clock)
      : options_(options), clock_(clock) {}

  // A connection's place; leaving it gives the place back.
  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept { *this = std::move(other); }
    Place& operator=(Place&& other) noexcept;
    ~Place() { Leave(); }

    // Once: the connection is this user's.
    absl::Status SignIn(const std::string& user);
    void CountFailedSignIn();
    void Leave();

   private:
    friend class ConnectionLimits;
    ConnectionLimits* limits_ = nullptr;
    std::string address_, user_;
    bool counted_ = false;  // among its address's connections
  };

  // At accept: takes a place for a connection from `peer_address`, to be kept while it is open.
  // ABORTED: it was told often enough, and is to be closed without a word.
  absl::StatusOr<Place> Arrive(std::string_view peer_address);
  // Counts a try of what is to become a connection for events, and takes a place for it.
  absl::StatusOr<Place> Enter(std::string_view address);
  // For sign-ins that need no place (a ticket, a session): whether this address may try at all.
  absl::Status Admit(std::string_view address);
  void CountFailedSignIn(std::string_view address);

 private:
  struct Address {
    int connections_count = 0;
    double handshakes = 0;  // that have not come back at handshakes_at
    absl::Duration handshakes_at;
    int failed_count = 0, refused_count = 0;  // of this minute
    absl::Duration minute_started;
  };
  Address* Find(const std::string& key, bool add) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckFailed(const Address& address, absl::Duration now) const;
  absl::Status CheckConnections(const Address& address) const;
  // Takes a handshake when it says yes.
  absl::Status TakeHandshake(Address* address, absl::Duration now) const;
  void Forget(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ConnectionLimitOptions options_;
  const clock::Clock& clock_;
  sync::Mutex mutex_;
  std::unordered_map<std::string, Address> addresses_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<std::string, int> users_ ABSL_GUARDED_BY(mutex_);
};

// Whose limits count: an IPv4 address itself, of IPv6 its /64, which one client has all of.
std::string AddressKey(std::string_view address);

// The client's address behind `hops_count` proxies that each append to X-Forwarded-For: the entry
// that the outermost of them wrote. The peer's own without proxies or when the header has too few.
std::string ClientAddress(const std::string& peer_address, std::string_view forwarded_for,
                          int hops_count);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_SIGN_IN_CONNECTION_LIMITS_H_
