#include "services/monitoring/monitoring_module.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "libs/async/scope.h"
#include "libs/page_token/page_token.h"
#include "services/monitoring/monitoring_engine.h"
#include "services/monitoring/monitoring_metrics.h"
#include "services/monitoring/monitoring_service.h"
#include "services/monitoring/scraper.h"
#include "slipstream/config/v1/config.pb.h"

namespace slipstream::monitoring {

namespace {

constexpr char kOwnName[] = "monitoring";
constexpr absl::Duration kTickPeriod = absl::Seconds(1);
// After the start of this process, so that its peers' ports can open too.
constexpr absl::Duration kFirstScrapeDelay = absl::Milliseconds(200);
// A service that is not well is asked again after this, so that its recovery shows soon.
constexpr absl::Duration kUnwellPeriod = absl::Seconds(1);
constexpr size_t kPageSecretBytes = 32;

std::vector<std::string> ListedServices() {
  std::vector<std::string> out = Scraper::Services();
  out.push_back(kOwnName);
  return out;
}

class MonitoringModule final : public service::Module {
 public:
  MonitoringModule(service::Context& context, page_token::PageTokens page_tokens)
      : interval_(absl::Milliseconds(context.config.monitoring().scrape_interval_ms())),
        engine_(ListedServices(), context.clock),
        scraper_({context.peers, engine_, context.clock, context.metrics, context.logger},
                 absl::Milliseconds(context.config.monitoring().scrape_timeout_ms())),
        service_(
            {engine_, context.audit, context.metrics, context.dispatcher, std::move(page_tokens)}),
        routes_(context.metrics.AddCollector([this](metrics::Samples& samples) {
          samples.Add(kRoutes, static_cast<double>(engine_.routes_count()));
        })),
        loops_(context.runtime.executor()) {}

  std::vector<grpc::Service*> Services() override { return {service_.grpc()}; }

  absl::Status Start() override {
    for (const std::string& service : Scraper::Services()) {
      loops_.Spawn([this, service]() -> Async<void> { co_await ScrapeLoop(service); });
    }
    loops_.Spawn([this]() -> Async<void> {
      do {
        engine_.RecordHealth(kOwnName, {v1::ServiceHealth::HEALTHY, "", {}});
        engine_.Tick();
      } while (co_await loops_.SleepFor(kTickPeriod));
    });
    return absl::OkStatus();
  }

  void Stop() override { loops_.Close(); }

 private:
  // One loop per service: one that does not answer delays no other.
  Async<void> ScrapeLoop(std::string service) {
    absl::Duration pause = std::min(interval_, kFirstScrapeDelay);
    while (co_await loops_.SleepFor(pause)) {
      const HealthStatus status = co_await scraper_.Ask(service);
      const bool well =
          status == v1::ServiceHealth::HEALTHY || status == v1::ServiceHealth::NOT_CONFIGURED;
      pause = well ? interval_ : std::min(interval_, kUnwellPeriod);
    }
  }

  const absl::Duration interval_;
  MonitoringEngine engine_;
  Scraper scraper_;
  MonitoringService service_;
  metrics::Registry::Registration routes_;
  async::Scope loops_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<service::Module>> MakeMonitoringModule(service::Context& context) {
  auto page_tokens = page_token::PageTokens::Create(context.random.Bytes(kPageSecretBytes));
  if (!page_tokens.ok()) return page_tokens.status();
  return std::make_unique<MonitoringModule>(context, *std::move(page_tokens));
}

}  // namespace slipstream::monitoring
