#include "services/monitoring/alert_board.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/timestamp/timestamp.h"
#include "services/monitoring/request_figures.h"

namespace slipstream::monitoring {

void AlertBoard::Raise(std::map<std::string, v1::PerformanceAlert>& holding,
                       v1::PerformanceAlert alert, absl::Time now) const {
  if (holding.size() >= kMaxAlertsCount) return;
  const auto before = alerts_.find(alert.alert_id());
  if (before != alerts_.end()) {
    *alert.mutable_raised_at() = before->second.raised_at();
  } else {
    *alert.mutable_raised_at() = timestamp::FromTime(now);
  }
  std::string id = alert.alert_id();
  holding.emplace(std::move(id), std::move(alert));
}

void AlertBoard::Update(const v1::GetHealthResponse& health,
                        const v1::GetMetricsSummaryResponse& figures, absl::Time now) {
  std::map<std::string, v1::PerformanceAlert> holding;
  for (const auto& service : health.services()) {
    const bool unavailable = service.status() == v1::ServiceHealth::UNAVAILABLE;
    if (!unavailable && service.status() != v1::ServiceHealth::DEGRADED) continue;
    v1::PerformanceAlert alert;
    alert.set_alert_id(absl::StrCat("service ", service.name()));
    alert.set_severity(unavailable ? v1::PerformanceAlert::CRITICAL
                                   : v1::PerformanceAlert::WARNING);
    alert.set_subject(service.name());
    alert.set_message(service.message());
    Raise(holding, std::move(alert), now);
  }
  for (const auto& route : figures.routes()) {
    if (route.requests_count() < kMinRequestsCount || route.p95_ms() <= kWarningMs) continue;
    const bool critical = route.p95_ms() > kCriticalMs;
    v1::PerformanceAlert alert;
    alert.set_alert_id(absl::StrCat("route ", route.route()));
    alert.set_severity(critical ? v1::PerformanceAlert::CRITICAL : v1::PerformanceAlert::WARNING);
    alert.set_subject(route.route());
    alert.set_message(absl::StrFormat("the 95th percentile is %.0f ms; the threshold is %.0f ms",
                                      route.p95_ms(), critical ? kCriticalMs : kWarningMs));
    Raise(holding, std::move(alert), now);
  }
  alerts_ = std::move(holding);
}

std::vector<v1::PerformanceAlert> AlertBoard::List() const {
  std::vector<v1::PerformanceAlert> out;
  for (const auto& [id, alert] : alerts_) out.push_back(alert);
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return std::pair(timestamp::ToTime(b.raised_at()), a.alert_id()) <
           std::pair(timestamp::ToTime(a.raised_at()), b.alert_id());
  });
  return out;
}

}  // namespace slipstream::monitoring
