#include "services/monitoring/request_figures.h"

#include <algorithm>
#include <utility>

#include "libs/timestamp/timestamp.h"

namespace slipstream::monitoring {

namespace {

constexpr absl::Duration kMinute = absl::Minutes(1);
constexpr absl::Duration kHour = absl::Hours(1);
constexpr int kFirstServerError = 500;

absl::Time FloorTo(absl::Time time, absl::Duration width) {
  return absl::UnixEpoch() + absl::Floor(time - absl::UnixEpoch(), width);
}

void AddCost(const v1::DownstreamCost& from, v1::DownstreamCost* to) {
  to->set_database_calls_count(to->database_calls_count() + from.database_calls_count());
  to->set_database_ms(to->database_ms() + from.database_ms());
  to->set_cache_calls_count(to->cache_calls_count() + from.cache_calls_count());
  to->set_cache_ms(to->cache_ms() + from.cache_ms());
  to->set_downstream_calls_count(to->downstream_calls_count() + from.downstream_calls_count());
  to->set_downstream_ms(to->downstream_ms() + from.downstream_ms());
}

void Divide(double by, v1::DownstreamCost* cost) {
  cost->set_database_calls_count(cost->database_calls_count() / by);
  cost->set_database_ms(cost->database_ms() / by);
  cost->set_cache_calls_count(cost->cache_calls_count() / by);
  cost->set_cache_ms(cost->cache_ms() / by);
  cost->set_downstream_calls_count(cost->downstream_calls_count() / by);
  cost->set_downstream_ms(cost->downstream_ms() / by);
}

v1::RouteSummary::PerformanceClass ClassOf(double p95_ms) {
  if (p95_ms > kCriticalMs) return v1::RouteSummary::CRITICAL;
  return p95_ms > kWarningMs ? v1::RouteSummary::WARNING : v1::RouteSummary::GOOD;
}

struct Sum {
  LatencyHistogram latency;
  int64_t errors_count = 0;
  v1::DownstreamCost cost;
};

void Fill(const std::string& route, Sum sum, v1::RouteSummary* out) {
  out->set_route(route);
  const int64_t count = sum.latency.count();
  out->set_requests_count(count);
  if (count == 0) return;
  out->set_errors_count(sum.errors_count);
  out->set_p50_ms(sum.latency.Quantile(0.5));
  out->set_p95_ms(sum.latency.Quantile(0.95));
  out->set_p99_ms(sum.latency.Quantile(0.99));
  out->set_max_ms(sum.latency.max_ms());
  out->set_performance_class(ClassOf(out->p95_ms()));
  Divide(static_cast<double>(count), &sum.cost);
  *out->mutable_average_cost() = std::move(sum.cost);
}

}  // namespace

void RequestFigures::AddTo(std::deque<Slot>& slots, absl::Duration width, absl::Time at,
                           const v1::RequestRecord& record) {
  const absl::Time start = FloorTo(at, width);
  // Nearly always the last one.
  auto it = std::find_if(slots.rbegin(), slots.rend(), [start](const Slot& slot) {
              return slot.start <= start;
            }).base();
  if (it == slots.begin() || std::prev(it)->start != start) {
    it = std::next(slots.insert(it, Slot{.start = start}));
  }
  Slot& slot = *std::prev(it);
  slot.latency.Add(record.duration_ms());
  slot.errors_count += record.http_status() >= kFirstServerError;
  AddCost(record.cost(), &slot.cost);
}

bool RequestFigures::Add(const v1::RequestRecord& record, absl::Time now) {
  const absl::Time at =
      record.has_finished_at() ? std::min(timestamp::ToTime(record.finished_at()), now) : now;
  if (at < now - kMaxWindow) return false;
  auto it = routes_.find(record.route());
  if (it == routes_.end()) {
    if (routes_.size() >= kMaxRoutesCount) return false;
    it = routes_.emplace(record.route(), Route()).first;
  }
  if (at >= now - kHour) AddTo(it->second.minutes, kMinute, at, record);
  AddTo(it->second.hours, kHour, at, record);
  return true;
}

v1::GetMetricsSummaryResponse RequestFigures::Summary(absl::Duration window,
                                                      std::string_view route_prefix,
                                                      absl::Time now) const {
  window = std::clamp(window, kMinute, kMaxWindow);
  const bool by_minute = window <= kHour;
  const absl::Time start = FloorTo(now - window, by_minute ? kMinute : kHour);
  v1::GetMetricsSummaryResponse out;
  Sum total;
  for (const auto& [name, route] : routes_) {
    if (!std::string_view(name).starts_with(route_prefix)) continue;
    Sum sum;
    for (const Slot& slot : by_minute ? route.minutes : route.hours) {
      if (slot.start < start) continue;
      sum.latency.Merge(slot.latency);
      sum.errors_count += slot.errors_count;
      AddCost(slot.cost, &sum.cost);
    }
    if (sum.latency.count() == 0) continue;
    total.latency.Merge(sum.latency);
    total.errors_count += sum.errors_count;
    AddCost(sum.cost, &total.cost);
    Fill(name, std::move(sum), out.add_routes());
  }
  std::sort(out.mutable_routes()->begin(), out.mutable_routes()->end(),
            [](const auto& a, const auto& b) {
              return a.p95_ms() != b.p95_ms() ? a.p95_ms() > b.p95_ms() : a.route() < b.route();
            });
  Fill("", std::move(total), out.mutable_total());
  *out.mutable_window_start() = timestamp::FromTime(start);
  *out.mutable_window_end() = timestamp::FromTime(now);
  return out;
}

void RequestFigures::Prune(absl::Time now) {
  for (auto it = routes_.begin(); it != routes_.end();) {
    Route& route = it->second;
    while (!route.minutes.empty() && route.minutes.front().start < now - kHour - kMinute) {
      route.minutes.pop_front();
    }
    while (!route.hours.empty() && route.hours.front().start < now - kMaxWindow - kHour) {
      route.hours.pop_front();
    }
    it = route.hours.empty() ? routes_.erase(it) : std::next(it);
  }
}

}  // namespace slipstream::monitoring
