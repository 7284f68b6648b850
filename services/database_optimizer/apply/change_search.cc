// What the runner reads of the workload: the measurement before a change, and the search before one
// that nobody asked for.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/database_optimizer/apply/change_runner.h"
#include "services/database_optimizer/apply/measurement.h"
#include "services/database_optimizer/candidates/statement_shape.h"
#include "services/database_optimizer/whatif/catalog_reader.h"

namespace slipstream::database_optimizer {

namespace {

using v1::Recommendation;

constexpr absl::Duration kSearchInterval = absl::Hours(1);
constexpr absl::Duration kSearchTime = absl::Minutes(2);
constexpr size_t kMaxReadingsCount = 16;
constexpr int kMaxListedCount = 100;

}  // namespace

absl::Status ChangeRunner::TakeReading() {
  const absl::Time now = deps_.clock.Now();
  const absl::Duration interval = std::max(options_.verify_time / 4, absl::Milliseconds(100));
  if (!readings_.empty() && now - readings_.back().at < interval) return absl::OkStatus();
  auto counters = ReadCounters(*control_, options_.max_statements_count);
  if (absl::IsUnavailable(counters.status())) return counters.status();
  if (!counters.ok()) return absl::OkStatus();  // without pg_stat_statements nothing is measured
  readings_.push_back({now, *std::move(counters)});
  while (readings_.size() > 1 &&
         (readings_.size() > kMaxReadingsCount || readings_[1].at < now - options_.verify_time)) {
    readings_.pop_front();
  }
  return absl::OkStatus();
}

// The time just before the change; for what ran too rarely in it, all that was counted.
absl::StatusOr<std::string> ChangeRunner::MeasuredBefore(const std::string& table) {
  Measurement out;
  auto now = ReadCounters(*control_, options_.max_statements_count);
  if (!now.ok()) return now.status();
  out.since = now->since;
  out.counters = now->by_fingerprint;
  if (!readings_.empty() && readings_.front().counters.since == now->since) {
    const Counters lately = Between(readings_.front().counters.by_fingerprint, now->by_fingerprint);
    for (const auto& [fingerprint, counters] : lately) {
      if (counters.calls_count >= options_.verification.min_calls_count) {
        out.counters[fingerprint] = counters;
      }
    }
  }
  auto catalog = ReadCatalog(*control_);
  if (!catalog.ok()) return catalog.status();
  auto workload = ReadWorkload(*control_, options_.max_statements_count);
  if (!workload.ok()) return workload.status();
  for (const auto& statement : workload->statements) {
    const auto shape = AnalyzeStatement(statement.sql, *catalog);
    if (!shape.ok()) continue;
    const auto is_table = [&](int place) {
      return place >= 0 &&
             absl::StrCat(catalog->table(place).schema, ".", catalog->table(place).name) == table;
    };
    bool on_table = is_table(shape->written_table);
    for (const auto& relation : shape->relations) on_table |= is_table(relation.table);
    if (on_table) out.on_table.insert(statement.fingerprint);
  }
  return ToJson(out);
}

absl::Status ChangeRunner::ApplyAutomatically() {
  if (!options_.automatic.enabled) return absl::OkStatus();
  {
    sync::MutexLock lock(mutex_);
    if (figures_.open_count > 0) return absl::OkStatus();
  }
  RecommendationStore store(*control_, deps_.clock, deps_.random);
  const absl::Time now = deps_.clock.Now();
  auto figures = store.Automatic(now - absl::Hours(24));
  if (!figures.ok()) return figures.status();
  if (!options_.automatic.MayBegin(now, *figures)) return absl::OkStatus();
  if (now - searched_at_ < kSearchInterval) return absl::OkStatus();
  searched_at_ = now;
  if (absl::Status status = Search(); !status.ok()) return status;
  auto proposals = store.List(Recommendation::PROPOSED, Recommendation::CREATE_INDEX, std::nullopt,
                              kMaxListedCount);
  if (!proposals.ok()) return proposals.status();
  const StoredRecommendation* chosen = options_.automatic.Choose(*proposals, *figures);
  if (chosen == nullptr) return absl::OkStatus();
  const auto& r = chosen->recommendation;
  auto change =
      store.BeginChange(r.recommendation_id(), Recommendation::PROPOSED, Recommendation::APPLYING,
                        Step::kBuild, true, "auto_apply", r.evidence().size_bytes());
  if (!change.ok()) return change.status();
  Change begun;
  begun.change_id = *change;
  begun.recommendation_id = r.recommendation_id();
  Audit("AutoApply", *chosen, begun, "PROPOSED", "APPLYING");
  Wake();
  return absl::OkStatus();
}

absl::Status ChangeRunner::Search() {
  postgres::ConnectionOptions reading = deps_.connection;
  reading.read_only = true;
  auto connection = postgres::Connection::Open(reading);
  if (!connection.ok()) return connection.status();
  RecommendationStore store(*control_, deps_.clock, deps_.random);
  AdvisorOptions options = options_.advisor;
  options.tables.clear();
  options.deadline = deps_.clock.Now() + kSearchTime;
  auto barred = store.BarredNames();
  if (!barred.ok()) return barred.status();
  options.barred_names = *std::move(barred);
  auto advice = AdviseIndexes(**connection, deps_.clock, options);
  if (!advice.ok()) return advice.status();
  return store.Propose(advice->proposals, {}).status();
}

}  // namespace slipstream::database_optimizer
