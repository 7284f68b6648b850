#include "services/cache/node_sightings.h"

#include <algorithm>
#include <utility>

namespace slipstream::cache {

absl::Duration NodeSightings::LapseOf(const NodeRenewal& seen, absl::Duration now) {
  sync::MutexLock lock(mutex_);
  Sighting& sighting = seen_[seen.node];
  if (sighting.renewal != seen.renewal) sighting = {seen.renewal, now};
  return sighting.since + lapse_;
}

void NodeSightings::Replace(const std::vector<NodeRenewal>& all, absl::Duration now) {
  sync::MutexLock lock(mutex_);
  absl::flat_hash_map<std::string, Sighting> next;
  for (const auto& one : all) {
    Sighting sighting{one.renewal, now};
    const auto known = seen_.find(one.node);
    if (known != seen_.end() && known->second.renewal == one.renewal) sighting = known->second;
    next.emplace(one.node, std::move(sighting));
  }
  seen_ = std::move(next);
}

void NodeSightings::Confirmed(const std::string& node, Offset offset) {
  {
    sync::MutexLock lock(mutex_);
    // Nodes come and go: what is forgotten here is asked of Redis.
    if (confirmed_.size() >= kMaxConfirmedCount) confirmed_.clear();
    Offset& known = confirmed_[node];
    known = std::max(known, offset);
  }
  changed_.Notify();
}

Offset NodeSightings::ConfirmedBy(const std::string& node) const {
  sync::MutexLock lock(mutex_);
  const auto it = confirmed_.find(node);
  return it == confirmed_.end() ? 0 : it->second;
}

void NodeSightings::Restart() {
  {
    sync::MutexLock lock(mutex_);
    seen_.clear();
    confirmed_.clear();
  }
  changed_.Notify();
}

size_t NodeSightings::count() const {
  sync::MutexLock lock(mutex_);
  return seen_.size();
}

}  // namespace slipstream::cache
