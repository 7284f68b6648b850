// The seam between the engine and what knows who is connected to the other nodes.
//
// Thread safety: all methods from any thread. Errors: UNAVAILABLE when it does not answer.
#ifndef SERVICES_NOTIFICATION_PRESENCE_DIRECTORY_H_
#define SERVICES_NOTIFICATION_PRESENCE_DIRECTORY_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/async/async.h"

namespace slipstream::notification {

struct UserPresence {
  std::string user;
  std::string tenant;  // empty when unknown
  bool known = false;
  int connections_count = 0;
  std::optional<absl::Time> last_seen_at;
};

class PresenceDirectory {
 public:
  virtual ~PresenceDirectory() = default;

  // How many connections the user has at this node now. Does not wait; the directory follows soon.
  virtual void Set(const std::string& user, const std::string& tenant, int connections_count) = 0;
  // Over all nodes; one per user, in order.
  virtual Async<absl::StatusOr<std::vector<UserPresence>>> Find(std::vector<std::string> users) = 0;
  // Called about every second: renews what this node said.
  virtual void Tick() = 0;
  // Takes back what this node said and ends; before the executor ends, and not on its threads. Only
  // Set is called after it.
  virtual void Stop() = 0;
};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_PRESENCE_DIRECTORY_H_
