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
  explicit DatabaseOptimizerModule(service::Context& context)
      : logger_(context.logger),
        client_(context.config.database_optimizer().postgres_url().empty()
                    ? nullptr
                    : std::make_unique<postgres::Client>(ClientOptionsOf(context.config))),
        source_(client_ ? std::make_unique<PostgresStatsSource>(*client_) : nullptr),
        engine_(source_.get()),
        service_(engine_, context.dispatcher) {
    if (client_) metrics_ = AddDatabaseOptimizerMetrics(context.metrics, *client_);
  }

  std::vector<grpc::Service*> Services() override { return {service_.grpc()}; }

  // A server that is too old stops the process; one that is away does not: it may come back.
  absl::Status Start() override {
    if (client_ == nullptr) return absl::OkStatus();
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
    if (client_ != nullptr) client_->Stop();
  }

 private:
  const logging::Logger logger_;
  const std::unique_ptr<postgres::Client> client_;
  const std::unique_ptr<PostgresStatsSource> source_;
  DatabaseOptimizerEngine engine_;
  DatabaseOptimizerService service_;
  metrics::Registry::Registration metrics_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<service::Module>> MakeDatabaseOptimizerModule(
    service::Context& context) {
  const std::string& url = context.config.database_optimizer().postgres_url();
  if (!url.empty()) {
    if (absl::Status bad = postgres::CheckUrl(url); !bad.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(kSetting, bad.message()));
    }
  }
  return std::make_unique<DatabaseOptimizerModule>(context);
}

}  // namespace slipstream::database_optimizer
