#include "services/monitoring/monitoring_engine.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "libs/timestamp/timestamp.h"

namespace slipstream::monitoring {

namespace {

constexpr size_t kMaxServiceBytes = 64;
constexpr size_t kMaxRouteBytes = 255;
constexpr int kMaxWindowMinutes = 1440;
constexpr absl::Duration kAlertWindow = absl::Minutes(5);
constexpr int kFirstServerError = 500;

bool NotNegative(double value) { return std::isfinite(value) && value >= 0; }

absl::Status CheckCost(const std::string& field, const v1::DownstreamCost& cost) {
  for (const double value :
       {cost.database_calls_count(), cost.database_ms(), cost.cache_calls_count(), cost.cache_ms(),
        cost.downstream_calls_count(), cost.downstream_ms()}) {
    if (!NotNegative(value)) {
      return status::FieldError(field + ".cost", "counts and times must be 0 or more");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRecord(const std::string& field, const v1::RequestRecord& record) {
  if (record.service().empty() || record.service().size() > kMaxServiceBytes) {
    return status::FieldError(field + ".service", "must have 1-64 characters");
  }
  if (record.route().empty() || record.route().size() > kMaxRouteBytes) {
    return status::FieldError(field + ".route",
                              "must have 1-255 characters: a path template, not a path");
  }
  if (record.http_status() < 100 || record.http_status() > 599) {
    return status::FieldError(field + ".http_status",
                              absl::StrCat("must be 100-599, is ", record.http_status()));
  }
  if (!NotNegative(record.duration_ms())) {
    return status::FieldError(field + ".duration_ms", "must be 0 or more");
  }
  return CheckCost(field, record.cost());
}

}  // namespace

MonitoringEngine::MonitoringEngine(const std::vector<std::string>& services,
                                   const clock::Clock& clock)
    : clock_(clock), health_(services) {}

bool MonitoringEngine::RecordHealth(const std::string& service, const Observation& observation) {
  sync::MutexLock lock(mutex_);
  return health_.Record(service, observation, clock_.Now());
}

void MonitoringEngine::RecordQueue(v1::QueueOverview queue) {
  sync::MutexLock lock(mutex_);
  *overview_.mutable_queue() = std::move(queue);
}

void MonitoringEngine::RecordCache(v1::CacheOverview cache) {
  sync::MutexLock lock(mutex_);
  *overview_.mutable_cache() = std::move(cache);
}

void MonitoringEngine::RecordNotification(v1::NotificationOverview notification) {
  sync::MutexLock lock(mutex_);
  *overview_.mutable_notification() = std::move(notification);
}

absl::StatusOr<v1::RecordRequestsResponse> MonitoringEngine::RecordRequests(
    const v1::RecordRequestsRequest& q) {
  if (q.records_size() < 1 || q.records_size() > kMaxBatchCount) {
    return status::FieldError("records", absl::StrCat("must be 1-1000, has ", q.records_size()));
  }
  // All or nothing: a caller that is told of one bad record must not count the others twice.
  for (int i = 0; i < q.records_size(); ++i) {
    if (absl::Status bad = CheckRecord(absl::StrCat("records[", i, "]"), q.records(i)); !bad.ok()) {
      return bad;
    }
  }
  v1::RecordRequestsResponse out;
  sync::MutexLock lock(mutex_);
  for (const auto& record : q.records()) {
    const bool accepted = requests_.Add(record, clock_.Now());
    out.set_accepted_count(out.accepted_count() + accepted);
    out.set_dropped_count(out.dropped_count() + !accepted);
    RecordLlm(record);
  }
  return out;
}

void MonitoringEngine::RecordLlm(const v1::RequestRecord& record) {
  if (record.service() != "worker" || !record.route().starts_with(kLlmRoutePrefix)) return;
  llm_.model = record.route().substr(sizeof(kLlmRoutePrefix) - 1);
  llm_.latency.Add(record.duration_ms());
  llm_.last_failed = record.http_status() >= kFirstServerError;
  llm_.errors_count += llm_.last_failed;
  llm_.last_at = clock_.Now();
}

v1::GetHealthResponse MonitoringEngine::Health() const {
  sync::MutexLock lock(mutex_);
  return health_.Report();
}

v1::GetOverviewResponse MonitoringEngine::Overview() const {
  sync::MutexLock lock(mutex_);
  v1::GetOverviewResponse out = overview_;
  *out.mutable_health() = health_.Report();
  for (auto& alert : alerts_.List()) *out.add_alerts() = std::move(alert);
  for (const auto& change : health_.changes()) *out.add_health_changes() = change;
  return out;
}

absl::StatusOr<v1::GetMetricsSummaryResponse> MonitoringEngine::MetricsSummary(
    const v1::GetMetricsSummaryRequest& q) const {
  const int minutes = q.window_minutes() == 0 ? kDefaultWindowMinutes : q.window_minutes();
  if (minutes < 1 || minutes > kMaxWindowMinutes) {
    return status::FieldError("window_minutes",
                              absl::StrCat("must be 1-1440, or 0 for 60, is ", minutes));
  }
  if (q.route_prefix().size() > kMaxRouteBytes) {
    return status::FieldError("route_prefix", "must have at most 255 characters");
  }
  sync::MutexLock lock(mutex_);
  return requests_.Summary(absl::Minutes(minutes), q.route_prefix(), clock_.Now());
}

v1::GetLlmHealthResponse MonitoringEngine::LlmHealth() const {
  sync::MutexLock lock(mutex_);
  v1::GetLlmHealthResponse out;
  const bool offline = llm_.model.empty() || llm_.model == kOfflineDrafter;
  out.set_model(offline ? kOfflineDrafter : llm_.model);
  if (offline) {
    out.set_status(v1::GetLlmHealthResponse::OFFLINE_DRAFTER);
  } else if (llm_.last_failed) {
    out.set_status(v1::GetLlmHealthResponse::UNAVAILABLE);
    out.set_message(
        "the model's latest answer failed; check its endpoint and key, and the "
        "worker's log");
  } else {
    out.set_status(v1::GetLlmHealthResponse::AVAILABLE);
  }
  out.set_p50_ms(llm_.latency.Quantile(0.5));
  out.set_p95_ms(llm_.latency.Quantile(0.95));
  out.set_requests_count(llm_.latency.count());
  out.set_errors_count(llm_.errors_count);
  const auto health = health_.Report();
  for (const auto& service : health.services()) {
    if (service.name() == "worker" && service.status() == v1::ServiceHealth::UNAVAILABLE) {
      out.set_message("no worker answers, so nothing is drafted; start one");
    }
  }
  if (out.requests_count() > 0) {
    *out.mutable_checked_at() = timestamp::FromTime(llm_.last_at);
  } else if (health.has_checked_at()) {
    *out.mutable_checked_at() = health.checked_at();
  }
  return out;
}

size_t MonitoringEngine::routes_count() const {
  sync::MutexLock lock(mutex_);
  return requests_.routes_count();
}

void MonitoringEngine::Tick() {
  sync::MutexLock lock(mutex_);
  const absl::Time now = clock_.Now();
  requests_.Prune(now);
  alerts_.Update(health_.Report(), requests_.Summary(kAlertWindow, "", now), now);
}

}  // namespace slipstream::monitoring
