#include "services/database_optimizer/recommendations/recommendation_part.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/database_optimizer/database_optimizer_metrics.h"
#include "slipstream/config/v1/config.pb.h"

namespace slipstream::database_optimizer {

namespace {

constexpr size_t kPageTokenSecretBytes = 32;
// Sampling a table's columns and planning large statements take longer than a look at a view.
constexpr absl::Duration kReaderStatementTimeout = absl::Seconds(30);
constexpr int kReadersCount = 2;
constexpr int kWritersCount = 2;

AdvisorOptions AdvisorOptionsOf(const config::v1::DatabaseAdvisorConfig& config) {
  AdvisorOptions out;
  out.max_statements_count = config.max_statements_count();
  out.max_index_columns_count = config.max_index_columns_count();
  out.min_gain_percent = config.min_gain_percent();
  out.index_prefix = config.index_prefix();
  return out;
}

absl::StatusOr<AutoApplyPolicy> PolicyOf(const config::v1::AutoApplyConfig& config) {
  AutoApplyPolicy out;
  auto window = DailyWindow::Parse(config.window());
  if (!window.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("database_optimizer.auto_apply.window: ", window.status().message()));
  }
  out.enabled = config.enabled();
  out.window = *window;
  out.max_bytes = config.max_bytes();
  out.tables.assign(config.tables().begin(), config.tables().end());
  out.max_changes_per_day_count = config.max_changes_per_day_count();
  out.min_gain_percent = config.min_gain_percent();
  return out;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RecommendationPart>> RecommendationPart::Make(
    service::Context& context) {
  const auto& config = context.config.database_optimizer();
  ChangeOptions changes;
  changes.advisor = AdvisorOptionsOf(config.advisor());
  changes.max_statements_count = config.advisor().max_statements_count();
  changes.verify_time = absl::Milliseconds(config.advisor().verify_ms());
  changes.build_timeout = absl::Milliseconds(config.advisor().build_timeout_ms());
  changes.verification.min_calls_count = config.advisor().verify_min_calls_count();
  changes.verification.max_harm_percent = config.advisor().max_harm_percent();
  auto policy = PolicyOf(config.auto_apply());
  if (!policy.ok()) return policy.status();
  changes.automatic = *std::move(policy);
  auto page_tokens = page_token::PageTokens::Create(context.random.Bytes(kPageTokenSecretBytes));
  if (!page_tokens.ok()) return page_tokens.status();

  postgres::ConnectionOptions connection;
  connection.url = config.postgres_url();
  connection.application_name = "slipstream advisor";
  std::unique_ptr<RecommendationPart> out(new RecommendationPart());
  postgres::ClientOptions writer;
  writer.connection = connection;
  writer.threads_count = kWritersCount;
  out->writer_ = std::make_unique<postgres::Client>(writer);
  postgres::ClientOptions reader;
  reader.connection = connection;
  reader.connection.read_only = true;
  reader.connection.statement_timeout = kReaderStatementTimeout;
  reader.threads_count = kReadersCount;
  reader.max_waiting_count = kReadersCount;  // a search takes seconds to minutes
  reader.retry_broken = true;
  out->reader_ = std::make_unique<postgres::Client>(reader);
  out->runner_ = std::make_unique<ChangeRunner>(
      ChangeRunner::Deps{connection, context.clock, context.random, context.audit, context.logger},
      changes);
  ChangeRunner& runner = *out->runner_;
  out->engine_ = std::make_unique<RecommendationEngine>(RecommendationEngine::Deps{
      *out->reader_, *out->writer_, context.clock, context.random, *std::move(page_tokens),
      changes.advisor, context.logger, [&runner] { runner.Wake(); }});
  out->metrics_ = context.metrics.AddCollector([&runner](metrics::Samples& samples) {
    const ChangeFigures figures = runner.figures();
    samples.Add(kChanges, static_cast<double>(figures.kept_count), {"kept"});
    samples.Add(kChanges, static_cast<double>(figures.reverted_count), {"reverted"});
    samples.Add(kChanges, static_cast<double>(figures.failed_count), {"failed"});
    samples.Add(kChangesGaveWay, static_cast<double>(figures.gave_way_count));
    samples.Add(kChangesOpen, figures.open_count);
  });
  return out;
}

void RecommendationPart::Stop() {
  runner_->Stop();
  reader_->Stop();
  writer_->Stop();
}

}  // namespace slipstream::database_optimizer
