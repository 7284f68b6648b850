// What is known of each service's health: the latest answer, since when, and what changed.
//
// Thread safety: none; the engine holds its lock.
#ifndef SERVICES_MONITORING_HEALTH_BOARD_H_
#define SERVICES_MONITORING_HEALTH_BOARD_H_

#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "slipstream/monitoring/v1/monitoring.pb.h"

namespace slipstream::monitoring {

using HealthStatus = v1::ServiceHealth::Status;

// One answer of one service, or that there was none. GetHealth needs no token, so `message` names
// no address, user or tenant.
struct Observation {
  HealthStatus status = v1::ServiceHealth::STATUS_UNSPECIFIED;
  std::string message;
  absl::Duration latency;
};

class HealthBoard {
 public:
  static constexpr size_t kMaxChangesCount = 100;

  // Services that were not asked yet are listed too.
  explicit HealthBoard(const std::vector<std::string>& services);

  // Does nothing for a service that was not given above. True when its status changed.
  bool Record(const std::string& service, const Observation& observation, absl::Time now);

  // Services by name, and the worst status of those that are configured.
  v1::GetHealthResponse Report() const;
  // Latest first.
  const std::deque<v1::HealthChange>& changes() const { return changes_; }

 private:
  std::map<std::string, v1::ServiceHealth> services_;
  std::deque<v1::HealthChange> changes_;
  absl::Time checked_at_ = absl::InfinitePast();
};

}  // namespace slipstream::monitoring

#endif  // SERVICES_MONITORING_HEALTH_BOARD_H_
