// What one node knows of the others: the renewal at which each was seen, and what each has
// confirmed.
//
// A node's lease ends at the latest a lease time after its renewal, and we saw that renewal after
// it had happened. So a node whose renewal has not changed for a lease time and a margin, by our
// own monotonic clock, serves nothing of before any more. No wall clock is asked, ours or Redis's.
//
// Times are the monotonic clock's. Thread safety: all methods, from any thread. Errors: none.
#ifndef SERVICES_CACHE_NODE_SIGHTINGS_H_
#define SERVICES_CACHE_NODE_SIGHTINGS_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "libs/async/event.h"
#include "libs/sync/mutex.h"
#include "services/cache/invalidation.h"

namespace slipstream::cache {

struct NodeRenewal {
  std::string node;
  std::string renewal;  // differs with each renewal of the node
};

class NodeSightings {
 public:
  // A clock that runs a tenth slower than ours is borne.
  static absl::Duration MarginOf(absl::Duration lease) {
    return lease / 10 + absl::Milliseconds(20);
  }

  explicit NodeSightings(absl::Duration lease) : lapse_(lease + MarginOf(lease)) {}

  // When the lease of this renewal is over for certain.
  absl::Duration LapseOf(const NodeRenewal& seen, absl::Duration now);
  // All nodes that have a lease; what is not among them is forgotten.
  void Replace(const std::vector<NodeRenewal>& all, absl::Duration now);

  void Confirmed(const std::string& node, Offset offset);
  Offset ConfirmedBy(const std::string& node) const;
  // Forgets what was confirmed: offsets begin anew.
  void Restart();

  // Notified with each Confirmed and Restart.
  async::Event& changed() { return changed_; }
  absl::Duration lapse() const { return lapse_; }
  size_t count() const;

 private:
  struct Sighting {
    std::string renewal;
    absl::Duration since;
  };
  static constexpr size_t kMaxConfirmedCount = 1024;

  const absl::Duration lapse_;
  async::Event changed_;
  mutable sync::Mutex mutex_;
  absl::flat_hash_map<std::string, Sighting> seen_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Offset> confirmed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_NODE_SIGHTINGS_H_
