// Connects to one server and introduces the client: TCP, TLS, AUTH, SELECT, CLIENT SETNAME, PING.
//
// Thread safety: on the strand that is passed; the coroutines must be spawned there.
// Errors: those of client.h; never a password in a message.
#ifndef LIBS_REDIS_DIAL_H_
#define LIBS_REDIS_DIAL_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/async/async.h"
#include "libs/redis/stream.h"
#include "libs/redis/url.h"
#include "libs/redis/value.h"

namespace slipstream::redis {

struct DialSettings {
  TlsContext tls;           // null: plain
  std::string server_name;  // empty: the endpoint's host
  std::string user;
  std::string password;
  std::string client_name;
  int db = 0;
  bool must_be_primary = false;                    // asks ROLE; UNAVAILABLE for a replica
  std::vector<std::vector<std::string>> greeting;  // see Options::greeting
  absl::Duration timeout;                          // for everything together
};

// A server that accepts but does not answer PING is UNAVAILABLE.
Async<absl::StatusOr<std::shared_ptr<Stream>>> Dial(Executor strand, DialSettings settings,
                                                    Endpoint endpoint);

// One connection for a few questions: dials, sends `commands` together, returns their replies
// (error replies as kError values) and closes. All within settings.timeout.
Async<absl::StatusOr<std::vector<Value>>> Ask(Executor strand, DialSettings settings,
                                              Endpoint endpoint,
                                              std::vector<std::vector<std::string>> commands);

}  // namespace slipstream::redis

#endif  // LIBS_REDIS_DIAL_H_
