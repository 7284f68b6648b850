#include "services/database_optimizer/watch/watch_loop.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "libs/status/status.h"
#include "libs/timestamp/timestamp.h"
#include "services/database_optimizer/watch/alert_rules.h"
#include "services/database_optimizer/watch/plan_capture.h"
#include "services/database_optimizer/watch/statement_parse.h"
#include "services/database_optimizer/watch/statement_text.h"
#include "services/database_optimizer/watch/watch_metrics.h"

namespace slipstream::database_optimizer {

namespace {

constexpr int kLookShare = 19;    // 5 %
constexpr int kTablesShare = 49;  // 2 %
constexpr absl::Duration kMaxWait = absl::Minutes(1);
// wal_receiver_status_interval is 10 s unless somebody changed it.
constexpr absl::Duration kReplicaReportInterval = absl::Seconds(12);
constexpr int kUnreachableAfterCount = 2;
constexpr size_t kMaxApplicationBytes = 64;
constexpr size_t kMaxTellCount = 50;

// How far a replica was behind when it last said where it is; `behind` is how long it would be by
// now if it had replayed nothing since. A replica speaks when it has received something, which is
// before it has replayed it, and then not again for wal_receiver_status_interval: one that has not
// spoken for longer than that is taken to have stood still. One that streams was not behind before
// it connected, as far as can be known.
absl::Duration LagOf(const ReplicaReading& reading, absl::Duration behind) {
  const bool silent = reading.reply_age > kReplicaReportInterval;
  const absl::Duration age = silent ? absl::ZeroDuration() : reading.reply_age;
  if (reading.streams) behind = std::min(behind, reading.connected);
  return std::max(behind - age, absl::ZeroDuration());
}

}  // namespace

// What one look reads.
struct WatchLoop::Reading {
  v1::GetStatsResponse stats;  // lock waits, held sessions, tables
  std::vector<RunningStatement> running;
  std::vector<StatementTotals> totals;
  ReplicaReadings replicas;
  bool has_tables = false;
  absl::Status partly;  // why a part of it could not be read
};

// A slow statement whose text or plan is wanted.
struct WatchLoop::Capture {
  SlowLog::RunKey run = {0, 0};  // of one that runs
  v1::SlowQuery query;
  std::string statement;  // empty: to be read from the figures
  bool cut_off = false;
  bool plan_only = false;  // for a run that is in the log already and has ended
};

void SortReplicas(int limit_count, v1::GetStatsResponse* out) {
  auto& replicas = *out->mutable_replicas();
  std::sort(replicas.begin(), replicas.end(), [](const auto& a, const auto& b) {
    return std::tuple(b.lag_ms(), b.lag_bytes(), a.name()) <
           std::tuple(a.lag_ms(), a.lag_bytes(), b.name());
  });
  if (replicas.size() > limit_count) {
    replicas.DeleteSubrange(limit_count, replicas.size() - limit_count);
  }
}

WatchLoop::WatchLoop(Deps deps, const WatchSettings& settings)
    : deps_(std::move(deps)),
      settings_(settings),
      slow_log_(settings.slow_warning, settings.slow_critical),
      ledger_(settings.alert_repeat),
      deltas_(settings.slow_warning),
      looks_(deps_.metrics.Add(kWatchLooks)),
      told_(deps_.metrics.Add(kAlertsTold)),
      slow_(deps_.metrics.Add(kSlowStatements)),
      seconds_(deps_.metrics.Add(kWatchSeconds)),
      alerts_(deps_.metrics.Add(kAlerts)),
      failures_(deps_.metrics.Add(kAlertFailures).With({})),
      dropped_(deps_.metrics.Add(kAlertsDropped).With({})),
      observed_(deps_.metrics.Add(kObserved).With({})),
      waiters_(deps_.metrics.Add(kLockWaiters).With({})),
      lag_(deps_.metrics.Add(kReplicaLag).With({})) {}

Async<void> WatchLoop::Run(async::Scope& scope) {
  absl::Duration wait;
  do {
    wait = co_await Look();
  } while (co_await scope.SleepFor(wait));
}

Async<absl::Duration> WatchLoop::Look() {
  const absl::Duration begin = deps_.clock.Monotonic();
  const absl::Status status = co_await LookOnce();
  const absl::Duration taken = deps_.clock.Monotonic() - begin;
  looks_.With({status.ok() ? "ok" : "failed"}).Increment();
  if (status.ok()) {
    Succeeded();
  } else {
    Failed(status);
  }
  co_await TellAlerts();
  co_return NextWait(taken);
}

absl::Duration WatchLoop::NextWait(absl::Duration taken) const {
  return std::max(settings_.interval, std::min(taken * kLookShare, kMaxWait));
}

absl::StatusOr<WatchLoop::Reading> WatchLoop::ReadAll(postgres::Connection& connection,
                                                      const WatchSettings& settings, bool tables) {
  Reading out;
  // Whoever is gone or hangs would cost every part its timeout.
  const auto gone = [&](const absl::Status& status) {
    if (!status.ok() && !absl::IsUnavailable(status)) out.partly = status;
    return absl::IsUnavailable(status);
  };
  absl::Status status = ReadLockWaits(connection, kListCount, &out.stats);
  if (gone(status)) return status;
  // A leak may be due sooner than a statement is critical.
  const absl::Duration held = std::min(settings.slow_critical, settings.leak_report);
  status = ReadHeldSessions(connection, held, kListCount, &out.stats);
  if (gone(status)) return status;
  auto running = ReadRunning(connection, settings.slow_warning);
  if (gone(running.status())) return running.status();
  if (running.ok()) out.running = *std::move(running);
  auto totals = ReadTotals(connection, settings.slow_warning);
  if (gone(totals.status())) return totals.status();
  if (totals.ok()) out.totals = *std::move(totals);
  auto replicas = ReadReplicas(connection);
  if (gone(replicas.status())) return replicas.status();
  if (replicas.ok()) out.replicas = *std::move(replicas);
  if (tables) {
    status = ReadTables(connection, kListCount, &out.stats);
    if (gone(status)) return status;
    out.has_tables = status.ok();
  }
  return out;
}

Async<absl::Status> WatchLoop::LookOnce() {
  const absl::Duration begin = deps_.clock.Monotonic();
  const bool tables = begin >= tables_due_;
  auto reading = co_await deps_.client.Run<Reading>(
      kLookTimeout, [settings = settings_, tables](postgres::Connection& connection) {
        return ReadAll(connection, settings, tables);
      });
  if (!reading.ok()) co_return reading.status();
  const absl::Duration now = deps_.clock.Monotonic();
  seconds_.With({tables ? "tables" : "sessions"}).Observe(absl::ToDoubleSeconds(now - begin));
  if (tables) {
    tables_due_ =
        now + std::max(settings_.interval, std::min((now - begin) * kTablesShare, kMaxWait));
    if (reading->has_tables) {
      *last_.mutable_tables() = std::move(*reading->stats.mutable_tables());
    }
  }
  *last_.mutable_lock_waits() = std::move(*reading->stats.mutable_lock_waits());
  *last_.mutable_held_sessions() = std::move(*reading->stats.mutable_held_sessions());
  last_.clear_replicas();
  AddReplicas(reading->replicas, kListCount, &last_);
  waiters_.Set(last_.lock_waits_size());
  lag_.Set(last_.replicas_size() == 0 ? 0 : static_cast<double>(last_.replicas(0).lag_ms()) / 1000);
  {
    sync::MutexLock lock(mutex_);
    ++looks_count_;
    if (!since_) since_ = deps_.clock.Now();
  }
  co_await NoteSlow(*reading);
  if (!reading->partly.ok()) {
    deps_.logger.Debug("a part of the database's figures cannot be read",
                       {{"error", reading->partly}});
  }
  co_return absl::OkStatus();
}

void WatchLoop::AddReplicas(const ReplicaReadings& readings, int limit_count,
                            v1::GetStatsResponse* out) {
  const absl::Duration now = deps_.clock.Monotonic();
  lag_clock_.Add(readings.current_lsn, now);
  for (const ReplicaReading& reading : readings.replicas) {
    v1::ReplicaStats stats = reading.stats;
    const int64_t estimate_ms =
        absl::ToInt64Milliseconds(LagOf(reading, lag_clock_.Estimate(reading.replayed_lsn, now)));
    stats.set_lag_ms(stats.lag_bytes() == 0 ? 0 : std::max(stats.lag_ms(), estimate_ms));
    *out->add_replicas() = std::move(stats);
  }
  out->mutable_examined()->set_replicas_count(out->replicas_size());
  SortReplicas(limit_count, out);
}

std::vector<WatchLoop::Capture> WatchLoop::CaptureAll(postgres::Connection& connection,
                                                      std::vector<Capture> wanted) {
  std::vector<Capture> out;
  for (Capture& one : wanted) {
    if (one.statement.empty()) {
      auto text = ReadStatementText(connection, one.query.fingerprint());
      if (!text.ok()) continue;
      one.statement = *std::move(text);
    }
    // Utility statements (VACUUM, CREATE INDEX) are long by nature.
    if (!IsPlanned(one.statement) || one.statement.starts_with(kOwnStatement)) continue;
    one.query.set_statement(RedactConstants(one.statement));
    one.query.set_trace_id(TraceIdOf(one.statement));
    if (one.query.fingerprint().empty()) one.query.set_fingerprint(Fingerprint(one.statement));
    if (one.query.plan_json().empty()) {
      CapturedPlan plan = CapturePlan(connection, one.statement, one.cut_off);
      one.query.set_plan_json(std::move(plan.plan_json));
      one.query.set_plan_missing(std::move(plan.missing));
    }
    out.push_back(std::move(one));
  }
  return out;
}

Async<void> WatchLoop::NoteSlow(const Reading& reading) {
  const absl::Time now = deps_.clock.Now();
  int64_t look = 0;
  {
    sync::MutexLock lock(mutex_);
    look = looks_count_;
  }
  std::vector<Capture> wanted;
  const auto want = [&](Capture capture) {
    if (wanted.size() >= kMaxCapturesCount) return;
    if (!capture.query.fingerprint().empty()) {
      capture.query.set_plan_json(
          slow_log_.RecentPlan(capture.query.fingerprint(), now - kPlanHolds));
    }
    wanted.push_back(std::move(capture));
  };
  for (const SlowRun& run : deltas_.Update(reading.totals)) {
    if (slow_log_.End(run.fingerprint, run.duration, look - 2)) continue;
    Capture capture;
    capture.query.set_fingerprint(run.fingerprint);
    capture.query.set_duration_ms(absl::ToDoubleMilliseconds(run.duration));
    *capture.query.mutable_occurred_at() = timestamp::FromTime(now - run.duration);
    want(std::move(capture));
  }
  for (const RunningStatement& running : reading.running) {
    const SlowLog::RunKey run(running.pid, running.started_us);
    if (slow_log_.Knows(run)) {
      slow_log_.Continue(run, running.running, look);
      continue;
    }
    if (!IsPlanned(running.statement)) continue;
    Capture capture;
    capture.run = run;
    capture.statement = running.statement;
    capture.cut_off = running.cut_off;
    capture.query.set_fingerprint(running.fingerprint);
    capture.query.set_duration_ms(absl::ToDoubleMilliseconds(running.running));
    *capture.query.mutable_occurred_at() = timestamp::FromTime(now - running.running);
    capture.query.set_pid(running.pid);
    capture.query.set_application(status::BoundedText(running.application, kMaxApplicationBytes));
    want(std::move(capture));
  }
  // What was in the way, such as a lock, may be gone.
  for (auto& [run, query] : slow_log_.EndedWithoutPlan(look)) {
    Capture capture;
    capture.run = run;
    capture.statement = query.statement();
    capture.query = std::move(query);
    capture.plan_only = true;
    want(std::move(capture));
  }
  if (!wanted.empty()) {
    auto captured = co_await deps_.client.Run<std::vector<Capture>>(
        kLookTimeout, [wanted](postgres::Connection& connection) {
          return absl::StatusOr<std::vector<Capture>>(CaptureAll(connection, wanted));
        });
    if (captured.ok()) {
      for (Capture& one : *captured) {
        if (one.plan_only) {
          if (one.query.plan_json().empty()) continue;
          slow_log_.AddPlan(one.run, one.query.plan_json());
        } else if (one.run.first != 0) {
          slow_log_.Begin(one.run, std::move(one.query), look, now);
        } else {
          slow_log_.AddEnded(std::move(one.query), now);
        }
      }
    }
  }
  const int64_t slow_count = slow_log_.slow_count();
  const int64_t critical_count = slow_log_.critical_count();
  slow_.With({"warning"}).Increment(slow_count - std::exchange(slow_told_, slow_count));
  slow_.With({"critical"})
      .Increment(critical_count - std::exchange(critical_told_, critical_count));
}

void WatchLoop::Failed(const absl::Status& status) {
  ++failures_count_;
  if (status::Reason(status) == postgres::kUnreachable) ++unreachable_count_;
  // The first failure and then ever fewer: an outage is one story.
  if ((failures_count_ & (failures_count_ - 1)) == 0) {
    deps_.logger.Warning("the database cannot be looked at; it is tried again",
                         {{"error", status}, {"failures", failures_count_}});
  }
}

void WatchLoop::Succeeded() {
  if (failures_count_ > 0) {
    deps_.logger.Info("the database is looked at again", {{"failures", failures_count_}});
  }
  failures_count_ = 0;
  unreachable_count_ = 0;
}

Async<void> WatchLoop::TellAlerts() {
  const absl::Time now = deps_.clock.Now();
  std::vector<v1::DatabaseAlert> holding;
  if (failures_count_ == 0) {
    v1::GetStatsResponse stats = last_;
    AddSeen(kListCount, &stats);
    if (deps_.add_pool) deps_.add_pool(&stats);
    SortReplicas(kListCount, &stats);
    holding = AlertsOf(stats, settings_, now);
  } else {
    // Nothing is known of what held, so it goes on to hold.
    holding = ledger_.Holding();
    if (unreachable_count_ >= kUnreachableAfterCount && holding.size() < kMaxAlertsCount) {
      v1::DatabaseAlert& alert = holding.emplace_back();
      alert.set_kind(v1::DatabaseAlert::UNREACHABLE);
      alert.set_severity(v1::DatabaseAlert::CRITICAL);
      alert.set_object("database");
      alert.set_message("PostgreSQL does not answer the watch; see the service's log");
    }
  }
  std::map<std::string, int> counts;
  for (int kind = v1::DatabaseAlert::SLOW_QUERY; kind <= v1::DatabaseAlert::UNREACHABLE; ++kind) {
    counts[KindName(static_cast<v1::DatabaseAlert::Kind>(kind))] = 0;
  }
  for (const auto& alert : holding) ++counts[KindName(alert.kind())];
  for (const auto& [kind, count] : counts) alerts_.With({kind}).Set(count);
  for (AlertChange& change : ledger_.Update(std::move(holding), now)) {
    deps_.logger.Info("alert", {{"kind", KindName(change.alert.kind())},
                                {"state", StateName(change.state)},
                                {"object", change.alert.object()}});
    pending_.push_back(std::move(change));
  }
  for (; pending_.size() > kMaxPendingCount; pending_.pop_front()) dropped_.Increment();
  const int64_t observed_count = deps_.observed.latencies().observed_count();
  observed_.Increment(observed_count - std::exchange(observed_told_, observed_count));
  while (!pending_.empty()) {
    const size_t count = std::min(pending_.size(), kMaxTellCount);
    const std::vector<AlertChange> batch(pending_.begin(), pending_.begin() + count);
    const absl::Status told = co_await deps_.sink.Tell(batch);
    if (!told.ok()) {
      failures_.Increment();
      deps_.logger.Debug("alerts could not be told; they are tried again", {{"error", told}});
      break;
    }
    for (const AlertChange& change : batch) {
      told_.With({KindName(change.alert.kind()), StateName(change.state)}).Increment();
    }
    pending_.erase(pending_.begin(), pending_.begin() + count);
  }
}

void WatchLoop::AddSeen(int limit_count, v1::GetStatsResponse* out) const {
  for (auto& query : slow_log_.Latest(limit_count)) *out->add_slow_queries() = std::move(query);
  for (auto& pattern : deps_.observed.n_plus_one().Patterns(limit_count)) {
    *out->add_n_plus_one_patterns() = std::move(pattern);
  }
}

void WatchLoop::AddTo(int limit_count, v1::GetStatsResponse* out) const {
  const StatementLatencies& latencies = deps_.observed.latencies();
  const bool observes = latencies.observed_count() > 0;
  AddSeen(limit_count, out);
  for (auto& query : *out->mutable_slow_queries()) {
    // What went through the pool has its trace there.
    if (observes && query.trace_id().empty()) {
      query.set_trace_id(latencies.TraceOf(Fingerprint(query.statement()),
                                           absl::Milliseconds(query.duration_ms())));
    }
  }
  for (auto& alert : ledger_.Holding()) *out->add_alerts() = std::move(alert);
  for (auto& query : *out->mutable_top_queries()) {
    if (!observes) break;
    // Shapes through the pool are known by the parser's fingerprint, these by the server's.
    query.set_p95_ms(absl::ToDoubleMilliseconds(latencies.P95(Fingerprint(query.statement()))));
  }
  auto* examined = out->mutable_examined();
  examined->set_traces_count(deps_.observed.n_plus_one().traces_count());
  examined->set_observed_count(deps_.observed.latencies().observed_count());
  *examined->mutable_observed_since() = timestamp::FromTime(deps_.observed.since());
  sync::MutexLock lock(mutex_);
  examined->set_looks_count(looks_count_);
  if (since_) *examined->mutable_watched_since() = timestamp::FromTime(*since_);
}

}  // namespace slipstream::database_optimizer
