// Requests of all services, added up per route: by the minute for the last hour, by the hour for
// the last day.
//
// Bounds: kMaxRoutesCount routes; per route a slot for each minute and hour in which it was called,
// at most 60 + 25 of 350 bytes, so 15 MB in the worst case. A request of a further route is dropped
// and counted; a route that was not called for a day makes room.
//
// Thread safety: none; the engine holds its lock.
#ifndef SERVICES_MONITORING_REQUEST_FIGURES_H_
#define SERVICES_MONITORING_REQUEST_FIGURES_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "services/monitoring/latency_histogram.h"
#include "slipstream/monitoring/v1/monitoring.pb.h"

namespace slipstream::monitoring {

// Thresholds of a route's 95th percentile.
inline constexpr double kWarningMs = 500;
inline constexpr double kCriticalMs = 2000;

class RequestFigures {
 public:
  static constexpr size_t kMaxRoutesCount = 500;
  static constexpr absl::Duration kMaxWindow = absl::Hours(24);

  // False when there is no room for the route, or the request is older than a day. REQUIRES: a
  // checked record.
  bool Add(const v1::RequestRecord& record, absl::Time now);

  // The figures of the window up to now. Up to an hour it is whole minutes, beyond whole hours: the
  // begin is rounded down and given in the answer.
  v1::GetMetricsSummaryResponse Summary(absl::Duration window, std::string_view route_prefix,
                                        absl::Time now) const;

  // Forgets what is older than a day.
  void Prune(absl::Time now);

  size_t routes_count() const { return routes_.size(); }

 private:
  // The requests of one route in one minute or hour.
  struct Slot {
    absl::Time start;
    LatencyHistogram latency;
    int64_t errors_count = 0;
    v1::DownstreamCost cost;  // sums
  };
  struct Route {
    std::deque<Slot> minutes;  // by start
    std::deque<Slot> hours;
  };

  static void AddTo(std::deque<Slot>& slots, absl::Duration width, absl::Time at,
                    const v1::RequestRecord& record);

  std::map<std::string, Route, std::less<>> routes_;
};

}  // namespace slipstream::monitoring

#endif  // SERVICES_MONITORING_REQUEST_FIGURES_H_
