// What is wrong now, each alert once for as long as it holds.
//
// Thread safety: none; the engine holds its lock.
#ifndef SERVICES_MONITORING_ALERT_BOARD_H_
#define SERVICES_MONITORING_ALERT_BOARD_H_

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "slipstream/monitoring/v1/monitoring.pb.h"

namespace slipstream::monitoring {

class AlertBoard {
 public:
  static constexpr size_t kMaxAlertsCount = 100;
  // Fewer requests than this say nothing of a route.
  static constexpr int64_t kMinRequestsCount = 10;

  // Looks at the services' health and at the routes' figures of the last minutes: alerts that hold
  // already keep their time, those that no longer hold go.
  void Update(const v1::GetHealthResponse& health, const v1::GetMetricsSummaryResponse& figures,
              absl::Time now);

  // Latest first.
  std::vector<v1::PerformanceAlert> List() const;

 private:
  void Raise(std::map<std::string, v1::PerformanceAlert>& holding, v1::PerformanceAlert alert,
             absl::Time now) const;

  std::map<std::string, v1::PerformanceAlert> alerts_;  // by id
};

}  // namespace slipstream::monitoring

#endif  // SERVICES_MONITORING_ALERT_BOARD_H_
