#include "services/monitoring/health_board.h"

#include <algorithm>

#include "libs/status/status.h"
#include "libs/timestamp/timestamp.h"

namespace slipstream::monitoring {

namespace {

constexpr size_t kMaxMessageBytes = 500;

// How much a status counts when the worst is looked for.
int Weight(HealthStatus status) {
  switch (status) {
    case v1::ServiceHealth::UNAVAILABLE:
      return 4;
    case v1::ServiceHealth::DEGRADED:
      return 3;
    case v1::ServiceHealth::STATUS_UNSPECIFIED:
      return 2;
    case v1::ServiceHealth::HEALTHY:
      return 1;
    default:
      return 0;  // NOT_CONFIGURED does not count
  }
}

}  // namespace

HealthBoard::HealthBoard(const std::vector<std::string>& services) {
  for (const auto& name : services) {
    v1::ServiceHealth& health = services_[name];
    health.set_name(name);
    health.set_message("not asked yet");
  }
}

bool HealthBoard::Record(const std::string& service, const Observation& observation,
                         absl::Time now) {
  auto it = services_.find(service);
  if (it == services_.end()) return false;
  v1::ServiceHealth& health = it->second;
  const HealthStatus before = health.status();
  checked_at_ = now;
  health.set_status(observation.status);
  health.set_message(status::BoundedText(observation.message, kMaxMessageBytes));
  health.set_latency_ms(absl::ToDoubleMilliseconds(observation.latency));
  if (before == observation.status && health.has_since()) return false;
  *health.mutable_since() = timestamp::FromTime(now);
  v1::HealthChange change;
  change.set_service(service);
  change.set_from(before);
  change.set_to(observation.status);
  change.set_message(health.message());
  *change.mutable_changed_at() = timestamp::FromTime(now);
  changes_.push_front(std::move(change));
  if (changes_.size() > kMaxChangesCount) changes_.pop_back();
  return true;
}

v1::GetHealthResponse HealthBoard::Report() const {
  v1::GetHealthResponse out;
  HealthStatus worst = v1::ServiceHealth::NOT_CONFIGURED;
  for (const auto& [name, health] : services_) {
    *out.add_services() = health;
    if (Weight(health.status()) > Weight(worst)) worst = health.status();
  }
  out.set_status(worst);
  if (checked_at_ != absl::InfinitePast())
    *out.mutable_checked_at() = timestamp::FromTime(checked_at_);
  return out;
}

}  // namespace slipstream::monitoring
