// The series of the monitoring service: the one table.
#ifndef SERVICES_MONITORING_MONITORING_METRICS_H_
#define SERVICES_MONITORING_MONITORING_METRICS_H_

#include "libs/metrics/metric_def.h"

namespace slipstream::monitoring {

inline constexpr metrics::GaugeDef kServiceStatus{
    "slipstream_monitoring_service_status",
    "Health of a service: 0 not asked yet, 1 healthy, 2 degraded, 3 unavailable, 4 not configured.",
    {"service"}};
inline constexpr metrics::HistogramDef kScrapeSeconds{
    "slipstream_monitoring_scrape_seconds",
    "Seconds that a service took to tell its health and figures.",
    {"service"},
    metrics::kLatencySeconds};
inline constexpr metrics::CounterDef kRequestsRecorded{
    "slipstream_monitoring_requests_recorded_total", "Finished requests that services reported."};
inline constexpr metrics::CounterDef kRequestsDropped{
    "slipstream_monitoring_requests_dropped_total",
    "Reported requests left out: too many routes, or older than a day."};
inline constexpr metrics::GaugeDef kRoutes{"slipstream_monitoring_routes",
                                           "Routes with figures; at most 500."};

}  // namespace slipstream::monitoring

#endif  // SERVICES_MONITORING_MONITORING_METRICS_H_
