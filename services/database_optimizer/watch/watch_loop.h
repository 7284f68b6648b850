// Looks at the database again and again: slow statements with their plans, replicas' lag, and
// alerts when something begins to hold, becomes worse or is over.
//
// Cost: one connection and a handful of catalog queries each interval (a few milliseconds in all on
// a database of usual size); pg_stat_statements is read without its texts. After a look that took
// t, the next one comes no sooner than 19 t later, and the tables are looked at no sooner than 49
// times what that took: however slow the database is, the watch keeps one connection busy for at
// most 5 % + 2 % of the time. Neither waits longer than a minute, or the interval where that is
// longer. A plan is captured for at most kMaxCapturesCount statements a look, and for one shape
// once in kPlanHolds.
//
// PostgreSQL away: a look fails, what held goes on to hold, from the second time that nobody
// answers on UNREACHABLE does too; the next looks go on. The notification service away: what is to
// be told waits, at most kMaxPendingCount changes, the oldest go first.
//
// Thread safety: Look from one coroutine at a time; the rest from any thread.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_WATCH_LOOP_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_WATCH_LOOP_H_

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "libs/async/scope.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/metrics/registry.h"
#include "libs/postgres/client.h"
#include "services/database_optimizer/watch/alert_ledger.h"
#include "services/database_optimizer/watch/alert_sink.h"
#include "services/database_optimizer/watch/figures.h"
#include "services/database_optimizer/watch/lag_clock.h"
#include "services/database_optimizer/watch/observed_statements.h"
#include "services/database_optimizer/watch/slow_log.h"
#include "services/database_optimizer/watch/watch_settings.h"

namespace slipstream::database_optimizer {

// The furthest behind first, at most `limit_count`.
void SortReplicas(int limit_count, v1::GetStatsResponse* out);

class WatchLoop {
 public:
  static constexpr size_t kMaxCapturesCount = 5;
  static constexpr size_t kMaxPendingCount = 200;
  static constexpr absl::Duration kPlanHolds = absl::Minutes(1);
  static constexpr absl::Duration kLookTimeout = absl::Seconds(8);
  static constexpr int kListCount = 100;

  // All outlive this.
  struct Deps {
    postgres::Client& client;
    ObservedStatements& observed;
    AlertSink& sink;
    const clock::Clock& clock;
    metrics::Registry& metrics;
    logging::Logger logger;
    // Adds the figures of the pool; may be empty.
    std::function<void(v1::GetStatsResponse*)> add_pool;
  };
  WatchLoop(Deps deps, const WatchSettings& settings);

  // Until the scope is asked to stop.
  Async<void> Run(async::Scope& scope);
  // One look; how long to wait before the next.
  Async<absl::Duration> Look();

  // What the watch knows beyond a look into the database: slow statements, patterns, alerts, since
  // when; and what the time since the last look says of the replicas' lag.
  void AddTo(int limit_count, v1::GetStatsResponse* out) const;
  // Fills in the replicas from a reading, with their lag in time.
  void AddReplicas(const ReplicaReadings& readings, int limit_count, v1::GetStatsResponse* out);

 private:
  // Of that, what the rules for alerts look at.
  void AddSeen(int limit_count, v1::GetStatsResponse* out) const;
  struct Reading;
  struct Capture;
  static absl::StatusOr<Reading> ReadAll(postgres::Connection& connection,
                                         const WatchSettings& settings, bool tables);
  static std::vector<Capture> CaptureAll(postgres::Connection& connection,
                                         std::vector<Capture> wanted);
  Async<absl::Status> LookOnce();
  Async<void> NoteSlow(const Reading& reading);
  Async<void> TellAlerts();
  void Failed(const absl::Status& status);
  void Succeeded();
  absl::Duration NextWait(absl::Duration taken) const;

  const Deps deps_;
  const WatchSettings settings_;
  SlowLog slow_log_;
  LagClock lag_clock_;
  AlertLedger ledger_;

  // Of the one coroutine that looks.
  StatementDeltas deltas_;
  v1::GetStatsResponse last_;  // lists of the latest look, for the rules
  absl::Duration tables_due_ = -absl::InfiniteDuration();
  int failures_count_ = 0;     // in a row
  int unreachable_count_ = 0;  // of them, because nobody answered
  std::deque<AlertChange> pending_;
  int64_t slow_told_ = 0, critical_told_ = 0, observed_told_ = 0;

  mutable sync::Mutex mutex_;
  int64_t looks_count_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<absl::Time> since_ ABSL_GUARDED_BY(mutex_);

  const metrics::Family<metrics::Counter> looks_, told_, slow_;
  const metrics::Family<metrics::Histogram> seconds_;
  const metrics::Family<metrics::Gauge> alerts_;
  const metrics::Counter failures_, dropped_, observed_;
  const metrics::Gauge waiters_, lag_;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_WATCH_LOOP_H_
