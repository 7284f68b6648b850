#include "libs/service/monitoring_reporter.h"

#include <utility>

namespace slipstream::service {

namespace {

constexpr absl::Duration kPeriod = absl::Milliseconds(500);
// Of one round, and of what is left at the end.
constexpr absl::Duration kFlushTimeout = absl::Seconds(1);

constexpr metrics::CounterDef kDropped{
    "slipstream_reports_dropped_total",
    "Reports that monitoring did not get: it refused them, or was away for too long.",
    {"kind"}};

}  // namespace

MonitoringReporter::MonitoringReporter(MonitoringSends sends, const clock::Clock& clock,
                                       metrics::Registry& metrics, const logging::Logger& logger)
    : clock_(clock),
      requests_({.kind = "requests",
                 .max_count = kMaxQueuedRequestsCount,
                 .max_batch_count = kMaxRequestBatchCount,
                 .idempotent = false},
                std::move(sends.requests), metrics.Add(kDropped).With({"requests"}), clock, logger),
      entries_({.kind = "audit_entries",
                .max_count = kMaxQueuedEntriesCount,
                .max_batch_count = kMaxEntryBatchCount,
                .idempotent = true},
               std::move(sends.entries), metrics.Add(kDropped).With({"audit_entries"}), clock,
               logger) {}

void MonitoringReporter::Start(Executor executor) {
  async::Scope& scope = scope_.emplace(std::move(executor));
  scope.Spawn([this, &scope] { return Loop(scope); });
}

void MonitoringReporter::Stop() { scope_.reset(); }

Async<void> MonitoringReporter::Loop(async::Scope& scope) {
  bool ending = false;
  while (!ending) {
    ending = !co_await scope.SleepFor(kPeriod);
    const absl::Duration began = clock_.Monotonic();
    co_await entries_.Flush(kFlushTimeout);
    co_await requests_.Flush(kFlushTimeout - (clock_.Monotonic() - began));
  }
}

}  // namespace slipstream::service
