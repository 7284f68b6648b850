#include "services/monitoring/scraper.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "libs/rpc/client_call.h"
#include "libs/status/status.h"
#include "services/monitoring/monitoring_metrics.h"
#include "slipstream/cache/v1/cache.grpc.pb.h"
#include "slipstream/database_optimizer/v1/database_optimizer.grpc.pb.h"
#include "slipstream/notification/v1/notification.grpc.pb.h"
#include "slipstream/task_queue/v1/task_queue.grpc.pb.h"

namespace slipstream::monitoring {

namespace {

namespace cv = slipstream::cache::v1;
namespace dv = slipstream::database_optimizer::v1;
namespace hv = ::grpc::health::v1;
namespace nv = slipstream::notification::v1;
namespace qv = slipstream::task_queue::v1;

using Health = v1::ServiceHealth;

// How long an optimizer without a database is not asked for figures.
constexpr absl::Duration kOptimizerRest = absl::Minutes(1);

Observation Healthy() { return {Health::HEALTHY, "", {}}; }
Observation Degraded(std::string message) { return {Health::DEGRADED, std::move(message), {}}; }
Observation Unavailable(std::string message) {
  return {Health::UNAVAILABLE, std::move(message), {}};
}

// What it means that a service which serves does not give its figures. The messages of the calls
// themselves name addresses, and these are shown to everybody.
Observation WithoutFigures(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnimplemented:
      return Healthy();
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return Degraded(
          "serves, but refuses monitoring's token; check auth.service_token and auth.roles");
    case absl::StatusCode::kDeadlineExceeded:
      return Degraded("serves, but did not give its figures in time; look at its load");
    default: {
      const std::string reason = status::Reason(status);
      return Degraded(absl::StrCat(
          "serves, but gives no figures (",
          reason.empty() ? absl::StatusCodeToString(status.code()) : reason, "); look at its log"));
    }
  }
}

v1::CacheOverview OverviewOf(const cv::CacheStats& stats) {
  v1::CacheOverview out;
  // L2 holds what L1 does and more, so their sum would count twice.
  for (const auto& tier : stats.tiers()) {
    if (tier.entries_count() < out.entries_count()) continue;
    out.set_entries_count(tier.entries_count());
    out.set_used_bytes(tier.bytes());
  }
  out.set_hits_count(stats.total().hits_count() + stats.total().stale_count());
  out.set_misses_count(stats.total().misses_count());
  out.set_hit_ratio(stats.total().hit_ratio());
  return out;
}

v1::QueueOverview OverviewOf(const qv::QueueStats& stats) {
  v1::QueueOverview out;
  for (const auto& entry : stats.statuses()) {
    switch (entry.status()) {
      case qv::Task::SCHEDULED:
        out.set_scheduled_count(entry.count());
        break;
      case qv::Task::PENDING:
        out.set_pending_count(entry.count());
        break;
      case qv::Task::RUNNING:
        out.set_running_count(entry.count());
        break;
      case qv::Task::SUCCEEDED:
        out.set_succeeded_count(entry.count());
        break;
      case qv::Task::FAILED:
        out.set_failed_count(entry.count());
        break;
      default:
        break;
    }
  }
  out.set_oldest_wait_ms(stats.oldest_wait_ms());
  out.set_workers_count(stats.workers_size());
  int free_slots_count = 0;
  for (const auto& worker : stats.workers()) {
    if (!worker.draining()) free_slots_count += worker.slots() - worker.task_ids_size();
  }
  out.set_free_slots_count(free_slots_count);
  return out;
}

v1::NotificationOverview OverviewOf(const nv::NotificationStats& stats) {
  v1::NotificationOverview out;
  out.set_subscribers_count(stats.connections_count());
  for (const auto& type : stats.published()) {
    out.set_published_count(out.published_count() + type.count());
  }
  out.set_delivered_count(stats.delivered_count());
  for (const auto& close : stats.closes()) {
    if (close.reason() == "SLOW_READER") out.set_slow_readers_count(close.count());
  }
  return out;
}

}  // namespace

Scraper::Scraper(const Deps& deps, absl::Duration timeout)
    : deps_(deps),
      timeout_(timeout),
      status_(deps.metrics.Add(kServiceStatus)),
      seconds_(deps.metrics.Add(kScrapeSeconds)) {}

std::vector<std::string> Scraper::Services() {
  return {"cache", "database_optimizer", "edge", "notification", "task_queue", "worker"};
}

rpc::CallOptions Scraper::OwnCall() const {
  rpc::CallOptions options = deps_.peers.OwnCall();
  options.timeout = timeout_;
  return options;
}

Async<HealthStatus> Scraper::Ask(std::string service) {
  const absl::Duration begin = deps_.clock.Monotonic();
  Observation observation = co_await Observe(service);
  observation.latency = deps_.clock.Monotonic() - begin;
  status_.With({service}).Set(observation.status);
  seconds_.With({service}).Observe(absl::ToDoubleSeconds(observation.latency));
  if (deps_.engine.RecordHealth(service, observation)) {
    deps_.logger.Info("health changed", {{"of", service},
                                         {"status", Health::Status_Name(observation.status)},
                                         {"why", observation.message}});
  }
  co_return observation.status;
}

Async<Observation> Scraper::Observe(const std::string& service) {
  const absl::Status health = co_await CheckHealth(service);
  if (health.ok()) co_return co_await ReadFigures(service);
  if (service == "database_optimizer") SetOptimizerRests(false);  // it may come back with one
  switch (health.code()) {
    case absl::StatusCode::kFailedPrecondition:
      co_return Unavailable("answers that it does not serve: it starts or ends");
    case absl::StatusCode::kDeadlineExceeded:
      co_return Unavailable(absl::StrCat("did not answer within ",
                                         absl::ToInt64Milliseconds(timeout_),
                                         " ms; look at its load and its network"));
    case absl::StatusCode::kUnavailable:
      co_return Unavailable(
          "cannot be reached; check that it runs and that its address in "
          "`endpoints` is right");
    default:
      co_return Unavailable(
          absl::StrCat("refuses the health check (", absl::StatusCodeToString(health.code()), ")"));
  }
}

// FAILED_PRECONDITION: it answers NOT_SERVING.
Async<absl::Status> Scraper::CheckHealth(const std::string& service) {
  auto stub = hv::Health::NewStub(deps_.peers.Channel(service));
  const hv::HealthCheckRequest request;
  auto answer = co_await rpc::CallUnary<hv::HealthCheckResponse>(
      {.timeout = timeout_},
      [&](auto* c, auto* p, auto done) { stub->async()->Check(c, &request, p, std::move(done)); });
  if (!answer.ok()) co_return answer.status();
  if (answer->status() == hv::HealthCheckResponse::SERVING) co_return absl::OkStatus();
  co_return absl::FailedPreconditionError("not serving");
}

Async<Observation> Scraper::ReadFigures(const std::string& service) {
  if (service == "cache") co_return co_await ReadCache();
  if (service == "task_queue") co_return co_await ReadQueue();
  if (service == "notification") co_return co_await ReadNotification();
  if (service == "database_optimizer") co_return co_await ReadDatabaseOptimizer();
  co_return Healthy();
}

Async<Observation> Scraper::ReadCache() {
  auto stub = cv::CacheService::NewStub(deps_.peers.Channel("cache"));
  const cv::GetStatsRequest request;
  auto stats = co_await rpc::CallUnary<cv::CacheStats>(OwnCall(), [&](auto* c, auto* p, auto done) {
    stub->async()->GetStats(c, &request, p, std::move(done));
  });
  if (!stats.ok()) co_return WithoutFigures(stats.status());
  deps_.engine.RecordCache(OverviewOf(*stats));
  if (stats->degraded()) {
    co_return Degraded(
        "its Redis tier is away, so it answers from memory alone; check cache Redis");
  }
  co_return Healthy();
}

Async<Observation> Scraper::ReadQueue() {
  auto stub = qv::TaskQueueService::NewStub(deps_.peers.Channel("task_queue"));
  const qv::GetQueueStatsRequest request;
  auto stats = co_await rpc::CallUnary<qv::QueueStats>(OwnCall(), [&](auto* c, auto* p, auto done) {
    stub->async()->GetQueueStats(c, &request, p, std::move(done));
  });
  if (!stats.ok()) co_return WithoutFigures(stats.status());
  deps_.engine.RecordQueue(OverviewOf(*stats));
  if (stats->degraded()) {
    co_return Degraded("its durable store is away; check the task queue's Redis");
  }
  co_return Healthy();
}

Async<Observation> Scraper::ReadNotification() {
  auto stub = nv::NotificationService::NewStub(deps_.peers.Channel("notification"));
  const nv::GetStatsRequest request;
  auto stats =
      co_await rpc::CallUnary<nv::NotificationStats>(OwnCall(), [&](auto* c, auto* p, auto done) {
        stub->async()->GetStats(c, &request, p, std::move(done));
      });
  if (!stats.ok()) co_return WithoutFigures(stats.status());
  deps_.engine.RecordNotification(OverviewOf(*stats));
  if (stats->degraded()) {
    co_return Degraded("its store is away; check the notification service's Redis");
  }
  co_return Healthy();
}

bool Scraper::OptimizerRests() const {
  sync::MutexLock lock(mutex_);
  return deps_.clock.Monotonic() < optimizer_rests_until_;
}

void Scraper::SetOptimizerRests(bool rests) {
  sync::MutexLock lock(mutex_);
  optimizer_rests_until_ =
      rests ? deps_.clock.Monotonic() + kOptimizerRest : -absl::InfiniteDuration();
}

Async<Observation> Scraper::ReadDatabaseOptimizer() {
  const Observation not_configured{
      Health::NOT_CONFIGURED,
      "no PostgreSQL is configured; set database_optimizer.postgres_url",
      {}};
  if (OptimizerRests()) co_return not_configured;
  auto stub = dv::DatabaseOptimizerService::NewStub(deps_.peers.Channel("database_optimizer"));
  const dv::GetStatsRequest request;
  auto stats =
      co_await rpc::CallUnary<dv::GetStatsResponse>(OwnCall(), [&](auto* c, auto* p, auto done) {
        stub->async()->GetStats(c, &request, p, std::move(done));
      });
  if (stats.ok()) co_return Healthy();
  const std::string reason = status::Reason(stats.status());
  if (reason == "POSTGRES_NOT_CONFIGURED") {
    SetOptimizerRests(true);
    co_return not_configured;
  }
  if (stats.status().code() == absl::StatusCode::kUnavailable && !reason.empty()) {
    co_return Unavailable(absl::StrCat("serves, but its PostgreSQL does not (", reason,
                                       "); check that the database runs"));
  }
  co_return WithoutFigures(stats.status());
}

}  // namespace slipstream::monitoring
