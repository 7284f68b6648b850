// The latest figures of the whole suite, in memory: health of each service, overviews, requests per
// route, alerts. What the scraper and other services hand in, what the RPCs read. Links no gRPC.
//
// Thread safety: all methods from any thread; one lock, held for no longer than one summary
// (500 routes of 60 slots: a few milliseconds).
// Errors: INVALID_ARGUMENT INVALID_FIELD with the field's name.
#ifndef SERVICES_MONITORING_MONITORING_ENGINE_H_
#define SERVICES_MONITORING_MONITORING_ENGINE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/clock/clock.h"
#include "libs/sync/mutex.h"
#include "services/monitoring/alert_board.h"
#include "services/monitoring/health_board.h"
#include "services/monitoring/latency_histogram.h"
#include "services/monitoring/request_figures.h"
#include "slipstream/monitoring/v1/monitoring.pb.h"

namespace slipstream::monitoring {

inline constexpr char kOfflineDrafter[] = "offline drafter";
// The worker reports each answer of a language model as a request with this route and the model's
// name after it: "llm offline drafter".
inline constexpr char kLlmRoutePrefix[] = "llm ";

class MonitoringEngine {
 public:
  static constexpr int kMaxBatchCount = 1000;
  static constexpr int kDefaultWindowMinutes = 60;

  // `clock` outlives this.
  MonitoringEngine(const std::vector<std::string>& services, const clock::Clock& clock);

  // True when the service's status changed.
  bool RecordHealth(const std::string& service, const Observation& observation);
  void RecordQueue(v1::QueueOverview queue);
  void RecordCache(v1::CacheOverview cache);
  void RecordNotification(v1::NotificationOverview notification);
  absl::StatusOr<v1::RecordRequestsResponse> RecordRequests(const v1::RecordRequestsRequest& q);

  v1::GetHealthResponse Health() const;
  v1::GetOverviewResponse Overview() const;
  absl::StatusOr<v1::GetMetricsSummaryResponse> MetricsSummary(
      const v1::GetMetricsSummaryRequest& q) const;
  v1::GetLlmHealthResponse LlmHealth() const;
  size_t routes_count() const;

  // Raises and ends alerts and forgets what is old; called every few seconds.
  void Tick();

 private:
  // Answers of the language model since start.
  struct LlmFigures {
    std::string model;
    LatencyHistogram latency;
    int64_t errors_count = 0;
    bool last_failed = false;
    absl::Time last_at;
  };

  void RecordLlm(const v1::RequestRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const clock::Clock& clock_;
  mutable sync::Mutex mutex_;
  HealthBoard health_ ABSL_GUARDED_BY(mutex_);
  AlertBoard alerts_ ABSL_GUARDED_BY(mutex_);
  RequestFigures requests_ ABSL_GUARDED_BY(mutex_);
  LlmFigures llm_ ABSL_GUARDED_BY(mutex_);
  // Queue, cache and notification; the rest is filled in when it is read.
  v1::GetOverviewResponse overview_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::monitoring

#endif  // SERVICES_MONITORING_MONITORING_ENGINE_H_
