// Asks one service for its health and its figures and hands them to the engine. The one file that
// sees the other services' stubs.
//
// Thread safety: Ask from any coroutine. Each call ends within twice the timeout.
#ifndef SERVICES_MONITORING_SCRAPER_H_
#define SERVICES_MONITORING_SCRAPER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/async/async.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/metrics/registry.h"
#include "libs/service/context.h"
#include "libs/sync/mutex.h"
#include "services/monitoring/monitoring_engine.h"

namespace slipstream::monitoring {

class Scraper {
 public:
  struct Deps {
    service::Peers& peers;
    MonitoringEngine& engine;
    const clock::Clock& clock;
    metrics::Registry& metrics;
    logging::Logger logger;
  };
  Scraper(const Deps& deps, absl::Duration timeout);

  // The services that are asked, by name.
  static std::vector<std::string> Services();

  // REQUIRES: one of Services().
  Async<HealthStatus> Ask(std::string service);

 private:
  Async<Observation> Observe(const std::string& service);
  Async<absl::Status> CheckHealth(const std::string& service);
  // Reads the figures; what they say of the service's health.
  Async<Observation> ReadFigures(const std::string& service);
  Async<Observation> ReadCache();
  Async<Observation> ReadQueue();
  Async<Observation> ReadNotification();
  Async<Observation> ReadDatabaseOptimizer();
  rpc::CallOptions OwnCall() const;

  // Configuration changes by a restart only, so an optimizer without a database is not asked for
  // figures at each scrape: every answer is a warning in its log.
  bool OptimizerRests() const;
  void SetOptimizerRests(bool rests);

  const Deps deps_;
  const absl::Duration timeout_;
  mutable sync::Mutex mutex_;
  absl::Duration optimizer_rests_until_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  const metrics::Family<metrics::Gauge> status_;
  const metrics::Family<metrics::Histogram> seconds_;
};

}  // namespace slipstream::monitoring

#endif  // SERVICES_MONITORING_SCRAPER_H_
