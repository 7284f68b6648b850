#include "services/database_optimizer/database_optimizer_module.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/postgres/pool.h"
#include "libs/status/status.h"
#include "services/database_optimizer/database_optimizer_engine.h"
#include "services/database_optimizer/database_optimizer_metrics.h"
#include "services/database_optimizer/database_optimizer_service.h"
#include "services/database_optimizer/query/pool_metrics.h"
#include "services/database_optimizer/query/pool_stats.h"
#include "services/database_optimizer/query/query_cache_parts.h"
#include "services/database_optimizer/query/query_engine.h"
#include "services/database_optimizer/recommendations/recommendation_part.h"
#include "services/database_optimizer/watch/database_watch.h"
#include "services/database_optimizer/watch/pool_observer.h"
#include "slipstream/config/v1/config.pb.h"

namespace slipstream::database_optimizer {

namespace {

constexpr char kSetting[] = "database_optimizer.postgres_url: ";

postgres::PoolOptions PoolOptionsOf(const config::v1::Config& config, const logging::Logger& logger,
                                    std::shared_ptr<postgres::StatementObserver> observer) {
  const auto& from = config.database_optimizer().pool();
  postgres::PoolOptions out;
  out.primary_url = config.database_optimizer().postgres_url();
  out.replica_urls.assign(config.database_optimizer().replica_urls().begin(),
                          config.database_optimizer().replica_urls().end());
  out.application_name = "slipstream query";
  out.min_connections_count = from.min_connections_count();
  out.max_connections_count = from.max_connections_count();
  out.max_connection_queries_count = from.max_connection_queries_count();
  out.idle_timeout = absl::Milliseconds(from.idle_timeout_ms());
  out.acquire_timeout = absl::Milliseconds(from.acquire_timeout_ms());
  out.statement_timeout = absl::Milliseconds(from.statement_timeout_ms());
  out.max_waiters_count = from.max_waiters_count();
  out.leak_report = absl::Milliseconds(from.leak_report_ms());
  out.breaker_failures_count = from.breaker_failures_count();
  out.breaker_open = absl::Milliseconds(from.breaker_open_ms());
  out.replica_check_interval = absl::Milliseconds(from.replica_check_interval_ms());
  out.max_replica_lag = absl::Milliseconds(from.max_replica_lag_ms());
  out.observer = std::move(observer);
  out.on_leak = [logger](const postgres::Leak& leak) {
    logger.Warning("a connection to PostgreSQL is held for too long",
                   {{"holder", leak.holder},
                    {"trace_id", leak.trace_id},
                    {"held_ms", absl::ToInt64Milliseconds(leak.held)}});
  };
  return out;
}

class DatabaseOptimizerModule final : public service::Module {
 public:
  // `recommendations` is null while no database is configured.
  DatabaseOptimizerModule(service::Context& context,
                          std::unique_ptr<RecommendationPart> recommendations)
      : logger_(context.logger),
        observer_(Configured(context)
                      ? std::make_shared<PoolObserver>(context.clock,
                                                       context.config.database_optimizer().watch())
                      : nullptr),
        pool_(Configured(context)
                  ? std::make_unique<postgres::Pool>(
                        PoolOptionsOf(context.config, context.logger, observer_), context.clock)
                  : nullptr),
        watch_(Configured(context) ? std::make_unique<DatabaseWatch>(
                                         context, observer_->observed(),
                                         [this](v1::GetStatsResponse* out) { AddPool(out); })
                                   : nullptr),
        engine_(watch_ ? &watch_->stats_source() : nullptr,
                watch_ ? &watch_->explainer() : nullptr),
        query_(pool_ ? std::make_unique<QueryEngine>(*pool_, context.clock) : nullptr),
        query_cache_(context),
        recommendations_(std::move(recommendations)),
        service_(engine_,
                 {.query = query_.get(),
                  .recommendations =
                      recommendations_ == nullptr ? nullptr : &recommendations_->engine()},
                 context.dispatcher) {
    if (watch_) metrics_ = AddDatabaseOptimizerMetrics(context.metrics, watch_->stats_client());
    if (pool_) pool_metrics_ = AddPoolMetrics(context.metrics, *pool_);
  }

  std::vector<grpc::Service*> Services() override { return {service_.grpc()}; }

  // A server that is too old stops the process; one that is away does not: it may come back.
  absl::Status Start() override {
    if (watch_ == nullptr) return absl::OkStatus();
    query_->UseCache(query_cache_.Start());
    pool_->Start();
    watch_->Start();
    recommendations_->Start();
    auto connection = postgres::Connection::Open(watch_->stats_client().options().connection);
    if (connection.ok()) {
      logger_.Info("PostgreSQL connected",
                   {{"version", postgres::VersionText((*connection)->server_version())}});
      return absl::OkStatus();
    }
    if (status::Reason(connection.status()) == postgres::kUnreachable) {
      logger_.Warning("PostgreSQL is away; calls answer UNAVAILABLE until it is back",
                      {{"error", connection.status()}});
      return absl::OkStatus();
    }
    return absl::Status(connection.status().code(),
                        absl::StrCat(kSetting, connection.status().message()));
  }

  void Stop() override {
    if (recommendations_ != nullptr) recommendations_->Stop();
    if (watch_ != nullptr) watch_->Stop();
    if (pool_ != nullptr) pool_->Stop();
    query_cache_.Stop();
    if (observer_ != nullptr) observer_->Stop();
  }

 private:
  static bool Configured(const service::Context& context) {
    return !context.config.database_optimizer().postgres_url().empty();
  }
  void AddPool(v1::GetStatsResponse* out) const {
    const postgres::PoolFigures figures = pool_->figures();
    FillPoolStats(pool_->options(), figures, out->mutable_pool());
    AddPoolReplicas(figures.replicas, out);
  }

  const logging::Logger logger_;
  // All null when no database is configured.
  const std::shared_ptr<PoolObserver> observer_;
  const std::unique_ptr<postgres::Pool> pool_;
  const std::unique_ptr<DatabaseWatch> watch_;
  DatabaseOptimizerEngine engine_;
  const std::unique_ptr<QueryEngine> query_;
  QueryCacheParts query_cache_;
  const std::unique_ptr<RecommendationPart> recommendations_;
  DatabaseOptimizerService service_;
  metrics::Registry::Registration metrics_;
  metrics::Registry::Registration pool_metrics_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<service::Module>> MakeDatabaseOptimizerModule(
    service::Context& context) {
  const std::string& url = context.config.database_optimizer().postgres_url();
  if (url.empty()) return std::make_unique<DatabaseOptimizerModule>(context, nullptr);
  if (absl::Status bad = postgres::CheckUrl(url); !bad.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(kSetting, bad.message()));
  }
  for (const std::string& replica : context.config.database_optimizer().replica_urls()) {
    if (absl::Status bad = postgres::CheckUrl(replica); !bad.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("database_optimizer.replica_urls: ", bad.message()));
    }
  }
  auto recommendations = RecommendationPart::Make(context);
  if (!recommendations.ok()) return recommendations.status();
  return std::make_unique<DatabaseOptimizerModule>(context, *std::move(recommendations));
}

}  // namespace slipstream::database_optimizer
