#include "services/database_optimizer/watch/alert_rules.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/status/status.h"
#include "libs/timestamp/timestamp.h"

namespace slipstream::database_optimizer {

namespace {

using Alert = v1::DatabaseAlert;

constexpr size_t kMaxObjectBytes = 255;
constexpr size_t kMaxMessageBytes = 500;
constexpr size_t kShownStatementBytes = 200;

std::string Shown(absl::Duration duration) {
  return absl::StrFormat("%.1f s", absl::ToDoubleSeconds(duration));
}
std::string Shown(const std::string& statement) {
  return status::BoundedText(statement, kShownStatementBytes);
}
double Percent(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}
std::string Megabytes(int64_t bytes) {
  return absl::StrFormat("%.1f MB", static_cast<double>(bytes) / 1e6);
}
Alert::Severity Rate(absl::Duration value, absl::Duration threshold) {
  return value >= threshold * kCriticalFactor ? Alert::CRITICAL : Alert::WARNING;
}

class Rules {
 public:
  Rules(const WatchSettings& settings, absl::Time now) : settings_(settings), now_(now) {}

  void SlowQueries(const v1::GetStatsResponse& stats) {
    for (const auto& query : stats.slow_queries()) {
      const absl::Duration duration = absl::Milliseconds(query.duration_ms());
      if (query.severity() != v1::SlowQuery::CRITICAL ||
          timestamp::ToTime(query.occurred_at()) + duration < now_ - kEventHolds) {
        continue;
      }
      Add(Alert::SLOW_QUERY, Alert::CRITICAL, query.fingerprint(),
          absl::StrCat("a statement took ", Shown(duration), ", more than ",
                       Shown(settings_.slow_critical), ": ", Shown(query.statement())));
    }
  }

  void NPlusOne(const v1::GetStatsResponse& stats) {
    for (const auto& pattern : stats.n_plus_one_patterns()) {
      if (timestamp::ToTime(pattern.last_seen_at()) < now_ - kEventHolds) continue;
      Add(Alert::N_PLUS_ONE, Alert::WARNING, pattern.fingerprint(),
          absl::StrCat("one request ran a statement ", pattern.repetitions_count(), " times, from ",
                       settings_.n_plus_one_count, " on it is a pattern, by ",
                       pattern.caller().empty() ? "an unnamed caller" : pattern.caller(),
                       " in trace ", pattern.example_trace_id(), ": ", Shown(pattern.statement())));
    }
  }

  void LockWaits(const v1::GetStatsResponse& stats) {
    for (const auto& wait : stats.lock_waits()) {
      const absl::Duration waited = absl::Milliseconds(wait.waited_ms());
      if (waited < settings_.lock_wait_alert) continue;
      Add(Alert::LOCK_WAIT, Rate(waited, settings_.lock_wait_alert), wait.object(),
          absl::StrCat("process ", wait.waiting_pid(), " has waited ", Shown(waited),
                       ", more than ", Shown(settings_.lock_wait_alert), ", for ", wait.mode(),
                       "; at the root is process ", wait.root_pid(), " (", wait.root_state(),
                       "): ", Shown(wait.root_statement())));
    }
  }

  void Tables(const v1::GetStatsResponse& stats) {
    for (const auto& table : stats.tables()) {
      if (table.table_bytes() >= settings_.bloat_alert_min_bytes && table.bloat_bytes() > 0 &&
          Percent(table.bloat_bytes(), table.table_bytes()) >= settings_.bloat_alert_percent) {
        Add(Alert::BLOAT, Alert::WARNING, table.table(),
            absl::StrFormat("about %s of the table's %s (%.0f %%, %d %% is the limit) hold no live "
                            "row; VACUUM makes it usable again, pg_repack or VACUUM FULL gives it "
                            "back",
                            Megabytes(table.bloat_bytes()), Megabytes(table.table_bytes()),
                            Percent(table.bloat_bytes(), table.table_bytes()),
                            settings_.bloat_alert_percent));
      }
      const int64_t rows_count = table.dead_rows_count() + table.live_rows_count();
      const double dead_percent = Percent(table.dead_rows_count(), rows_count);
      if (table.dead_rows_count() >= kMinDeadRowsCount &&
          dead_percent >= settings_.vacuum_alert_dead_percent) {
        const std::string age =
            table.vacuum_age_s() < 0
                ? "it was never vacuumed"
                : absl::StrCat("its last vacuum was ", table.vacuum_age_s(), " s ago");
        Add(Alert::VACUUM, Alert::WARNING, table.table(),
            absl::StrFormat("%d of %d rows are dead (%.0f %%, %d %% is the limit) and %s; look for "
                            "transactions that stay open, and at autovacuum's settings",
                            table.dead_rows_count(), rows_count, dead_percent,
                            settings_.vacuum_alert_dead_percent, age));
      }
      const int64_t left_count = table.transactions_to_wraparound_count();
      if (left_count < kWraparoundWarningCount) {
        Add(Alert::WRAPAROUND,
            left_count < kWraparoundCriticalCount ? Alert::CRITICAL : Alert::WARNING, table.table(),
            absl::StrCat("the server stops taking writes in ", left_count,
                         " transactions; VACUUM (FREEZE) this table"));
      }
    }
  }

  void Replicas(const v1::GetStatsResponse& stats) {
    for (const auto& replica : stats.replicas()) {
      const absl::Duration lag = absl::Milliseconds(replica.lag_ms());
      if (lag < settings_.replica_lag_alert) continue;
      Add(Alert::REPLICA_LAG, Rate(lag, settings_.replica_lag_alert), replica.name(),
          absl::StrCat("the replica is ", Shown(lag), " behind, more than ",
                       Shown(settings_.replica_lag_alert), ", and ", replica.lag_bytes(),
                       " bytes of log"));
    }
  }

  void Leaks(const v1::GetStatsResponse& stats) {
    for (const auto& leak : stats.pool().leaks()) {
      Add(Alert::LEAKED_CONNECTION, Alert::WARNING, leak.holder(),
          absl::StrCat(
              "a connection of the pool has been held for ",
              Shown(absl::Milliseconds(leak.held_ms())), ", more than ",
              Shown(settings_.leak_report),
              leak.trace_id().empty() ? "" : absl::StrCat(", by trace ", leak.trace_id())));
    }
    for (const auto& session : stats.held_sessions()) {
      const absl::Duration held = absl::Milliseconds(session.held_ms());
      if (held < settings_.leak_report) continue;
      Add(Alert::LEAKED_CONNECTION, Alert::WARNING,
          absl::StrCat(
              "process ", session.pid(), " of ",
              session.application().empty() ? "an unnamed application" : session.application(),
              " (", session.user(), ")"),
          absl::StrCat("a session has been ", session.state(), " for ", Shown(held), ", more than ",
                       Shown(settings_.leak_report),
                       "; its latest statement: ", Shown(session.statement())));
    }
  }

  std::vector<Alert> Take() {
    std::sort(out_.begin(), out_.end(), [](const Alert& a, const Alert& b) {
      return std::tuple(-a.severity(), a.kind(), a.object()) <
             std::tuple(-b.severity(), b.kind(), b.object());
    });
    if (out_.size() > kMaxAlertsCount) out_.resize(kMaxAlertsCount);
    return std::move(out_);
  }

 private:
  // The first of each kind and object stays: lists have the worst or the latest first.
  void Add(Alert::Kind kind, Alert::Severity severity, const std::string& object,
           const std::string& message) {
    std::string bounded = status::BoundedText(object, kMaxObjectBytes);
    if (!seen_.insert({kind, bounded}).second) return;
    Alert& alert = out_.emplace_back();
    alert.set_kind(kind);
    alert.set_severity(severity);
    alert.set_object(std::move(bounded));
    alert.set_message(status::BoundedText(message, kMaxMessageBytes));
  }

  const WatchSettings& settings_;
  const absl::Time now_;
  std::vector<Alert> out_;
  std::set<std::pair<int, std::string>> seen_;
};

}  // namespace

std::vector<Alert> AlertsOf(const v1::GetStatsResponse& stats, const WatchSettings& settings,
                            absl::Time now) {
  Rules rules(settings, now);
  rules.SlowQueries(stats);
  rules.NPlusOne(stats);
  rules.LockWaits(stats);
  rules.Tables(stats);
  rules.Replicas(stats);
  rules.Leaks(stats);
  return rules.Take();
}

std::string KindName(Alert::Kind kind) {
  return absl::AsciiStrToLower(v1::DatabaseAlert::Kind_Name(kind));
}

}  // namespace slipstream::database_optimizer
