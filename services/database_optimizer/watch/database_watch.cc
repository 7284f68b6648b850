#include "services/database_optimizer/watch/database_watch.h"

#include <utility>

#include "slipstream/config/v1/config.pb.h"

namespace slipstream::database_optimizer {

namespace {

constexpr int kLookConnectionsCount = 1;
constexpr int kExplainConnectionsCount = 1;
constexpr size_t kMaxWaitingExplainsCount = 8;

postgres::ClientOptions OptionsOf(const std::string& url, int connections_count) {
  postgres::ClientOptions out;
  out.connection.url = url;
  out.connection.read_only = true;
  out.connection.application_name = kWatchApplication;
  out.threads_count = connections_count;
  out.retry_broken = true;  // all statements only read
  return out;
}

postgres::ClientOptions ExplainOptionsOf(const std::string& url) {
  postgres::ClientOptions out = OptionsOf(url, kExplainConnectionsCount);
  out.max_waiting_count = kMaxWaitingExplainsCount;
  return out;
}

}  // namespace

WatchSettings WatchSettingsOf(const config::v1::DatabaseOptimizerConfig& config) {
  const auto& watch = config.watch();
  WatchSettings out;
  out.interval = absl::Milliseconds(watch.interval_ms());
  out.slow_warning = absl::Milliseconds(watch.slow_warning_ms());
  out.slow_critical = absl::Milliseconds(watch.slow_critical_ms());
  out.n_plus_one_count = watch.n_plus_one_count();
  out.lock_wait_alert = absl::Milliseconds(watch.lock_wait_alert_ms());
  out.replica_lag_alert = absl::Milliseconds(watch.replica_lag_alert_ms());
  out.bloat_alert_percent = watch.bloat_alert_percent();
  out.bloat_alert_min_bytes = watch.bloat_alert_min_bytes();
  out.vacuum_alert_dead_percent = watch.vacuum_alert_dead_percent();
  out.alert_repeat = absl::Milliseconds(watch.alert_repeat_ms());
  out.leak_report = absl::Milliseconds(config.pool().leak_report_ms());
  return out;
}

DatabaseWatch::DatabaseWatch(service::Context& context, ObservedStatements& observed,
                             std::function<void(v1::GetStatsResponse*)> add_pool)
    : settings_(WatchSettingsOf(context.config.database_optimizer())),
      look_client_(
          OptionsOf(context.config.database_optimizer().postgres_url(), kLookConnectionsCount)),
      stats_client_(OptionsOf(context.config.database_optimizer().postgres_url(),
                              context.config.runtime().blocking_threads_count())),
      explain_client_(ExplainOptionsOf(context.config.database_optimizer().postgres_url())),
      sink_(context.peers, context.config.database_optimizer().postgres_url(),
            settings_.alert_repeat),
      loop_({look_client_, observed, sink_, context.clock, context.metrics,
             context.logger.With({{"component", "database_watch"}}), add_pool},
            settings_),
      source_({stats_client_, loop_, settings_, add_pool}),
      explainer_(explain_client_),
      scope_(context.runtime.executor()) {}

void DatabaseWatch::Start() {
  scope_.Spawn([this] { return loop_.Run(scope_); });
}

void DatabaseWatch::Stop() {
  scope_.RequestStop();
  look_client_.Stop();
  stats_client_.Stop();
  explain_client_.Stop();
  scope_.Close();
}

}  // namespace slipstream::database_optimizer
