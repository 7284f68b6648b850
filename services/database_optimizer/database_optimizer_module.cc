#include "services/database_optimizer/database_optimizer_module.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/postgres/client.h"
#include "libs/status/status.h"
#include "services/database_optimizer/database_optimizer_engine.h"
#include "services/database_optimizer/database_optimizer_metrics.h"
#include "services/database_optimizer/database_optimizer_service.h"
#include "services/database_optimizer/postgres_stats_source.h"
#include "services/database_optimizer/recommendations/recommendation_part.h"
#include "slipstream/config/v1/config.pb.h"

namespace slipstream::database_optimizer {

namespace {

constexpr char kSetting[] = "database_optimizer.postgres_url: ";

postgres::ClientOptions ClientOptionsOf(const config::v1::Config& config) {
  postgres::ClientOptions out;
  out.connection.url = config.database_optimizer().postgres_url();
  out.connection.read_only = true;
  out.connection.application_name = "slipstream database_optimizer";
  out.threads_count = config.runtime().blocking_threads_count();
  out.retry_broken = true;  // all statements only read
  return out;
}

class DatabaseOptimizerModule final : public service::Module {
 public:
  // `recommendations` is null while no database is configured.
  DatabaseOptimizerModule(service::Context& context,
                          std::unique_ptr<RecommendationPart> recommendations)
      : logger_(context.logger),
        client_(context.config.database_optimizer().postgres_url().empty()
                    ? nullptr
                    : std::make_unique<postgres::Client>(ClientOptionsOf(context.config))),
        source_(client_ ? std::make_unique<PostgresStatsSource>(*client_) : nullptr),
        engine_(source_.get()),
        recommendations_(std::move(recommendations)),
        service_(engine_, context.dispatcher,
                 recommendations_ == nullptr ? nullptr : &recommendations_->engine()) {
    if (client_) metrics_ = AddDatabaseOptimizerMetrics(context.metrics, *client_);
  }

  std::vector<grpc::Service*> Services() override { return {service_.grpc()}; }

  // A server that is too old stops the process; one that is away does not: it may come back.
  absl::Status Start() override {
    if (client_ == nullptr) return absl::OkStatus();
    recommendations_->Start();
    auto connection = postgres::Connection::Open(client_->options().connection);
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
    if (client_ != nullptr) client_->Stop();
  }

 private:
  const logging::Logger logger_;
  const std::unique_ptr<postgres::Client> client_;
  const std::unique_ptr<PostgresStatsSource> source_;
  DatabaseOptimizerEngine engine_;
  const std::unique_ptr<RecommendationPart> recommendations_;
  DatabaseOptimizerService service_;
  metrics::Registry::Registration metrics_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<service::Module>> MakeDatabaseOptimizerModule(
    service::Context& context) {
  const std::string& url = context.config.database_optimizer().postgres_url();
  if (url.empty()) return std::make_unique<DatabaseOptimizerModule>(context, nullptr);
  if (absl::Status bad = postgres::CheckUrl(url); !bad.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(kSetting, bad.message()));
  }
  auto recommendations = RecommendationPart::Make(context);
  if (!recommendations.ok()) return recommendations.status();
  return std::make_unique<DatabaseOptimizerModule>(context, *std::move(recommendations));
}

}  // namespace slipstream::database_optimizer
