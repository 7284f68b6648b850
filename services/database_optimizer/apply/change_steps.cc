// The steps of one change: build, clean up, measure, take back.
#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "libs/timestamp/timestamp.h"
#include "services/database_optimizer/apply/change_runner.h"
#include "services/database_optimizer/apply/measurement.h"
#include "services/database_optimizer/whatif/row_reader.h"

namespace slipstream::database_optimizer {

namespace {

using v1::Recommendation;

// Builds that gave way or were interrupted are tried again so often, ever later.
constexpr int kMaxAttemptsCount = 10;
constexpr absl::Duration kFirstBackoff = absl::Seconds(1);
constexpr absl::Duration kMaxBackoff = absl::Minutes(5);
// A drop waits for transactions that use the table; rather than for long, again later.
constexpr absl::Duration kDropTimeout = absl::Seconds(20);
// For harm so many times the allowed one a change is taken back before the time is over, and
// without a second look.
constexpr double kSevereHarmFactor = 4;

constexpr char kStateSql[] = R"(
SELECT i.indexrelid IS NOT NULL, i.indisvalid AND i.indisready AND i.indislive,
       pg_get_indexdef(i.indexrelid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indexrelid = c.oid WHERE n.nspname = $1 AND c.relname = $2)";

bool IsDrop(Recommendation::Kind kind) {
  return kind == Recommendation::DROP_UNUSED_INDEX ||
         kind == Recommendation::DROP_DUPLICATE_INDEX || kind == Recommendation::DROP_INVALID_INDEX;
}

// What passes by itself: others had the lock, or we were in each other's way.
bool Passing(const absl::Status& status) {
  const std::string sqlstate = status::Metadata(status, "sqlstate").value_or("");
  return status::Reason(status) == kGaveWay || sqlstate == "40P01" || sqlstate == "55P03" ||
         sqlstate == "40001";
}

// duplicate_object
bool IsThere(const absl::Status& status) {
  return status::Metadata(status, "sqlstate").value_or("") == "42710";
}

absl::Duration Backoff(int attempts_count) {
  absl::Duration out = kFirstBackoff;
  for (int i = 1; i < attempts_count && out < kMaxBackoff; ++i) out *= 2;
  return std::min(out, kMaxBackoff);
}

}  // namespace

bool ChangeRunner::OwnName(const std::string& name) const {
  return absl::StartsWith(name, options_.advisor.index_prefix);
}

absl::StatusOr<ChangeRunner::IndexState> ChangeRunner::StateOf(const StoredRecommendation& stored) {
  auto rows = control_->Query(kStateSql, {stored.index_schema, stored.index_name});
  if (!rows.ok()) return rows.status();
  if (rows->empty()) return IndexState::kMissing;
  if (!BoolAt(rows->front(), 0)) return IndexState::kOtherRelation;
  return BoolAt(rows->front(), 1) ? IndexState::kValid : IndexState::kInvalid;
}

absl::Status ChangeRunner::Build(Change& change, StoredRecommendation& stored) {
  const auto kind = stored.recommendation.kind();
  const bool first = change.attempts_count == 0;
  auto state = stored.index_name.empty() ? absl::StatusOr<IndexState>(IndexState::kMissing)
                                         : StateOf(stored);
  if (!state.ok()) return state.status();
  if (kind == Recommendation::CREATE_INDEX) {
    // Before our first attempt nothing of that name can be ours.
    if (first && *state != IndexState::kMissing) {
      change.error = absl::StrCat("there is something called ", stored.index_name, " already");
      return Finish(change, stored, Recommendation::FAILED);
    }
    // The build had ended when the process did.
    if (*state == IndexState::kValid) return BeginVerify(change, stored);
    if (*state == IndexState::kInvalid) {
      if (absl::Status status = DropIfOurs(stored, false); !status.ok()) {
        if (absl::IsUnavailable(status)) return status;
        change.due_at = deps_.clock.Now() + Backoff(change.attempts_count);
        RecommendationStore store(*control_, deps_.clock, deps_.random);
        return store.Save(change);
      }
    }
  } else if (IsDrop(kind)) {
    if (*state == IndexState::kMissing && !first) return BeginVerify(change, stored);
    const bool as_found = kind == Recommendation::DROP_INVALID_INDEX
                              ? *state == IndexState::kInvalid
                              : *state == IndexState::kValid;
    if (first && !as_found) {
      change.error = "the index is no longer what was found: run Optimize again";
      return Finish(change, stored, Recommendation::FAILED);
    }
  }
  if (first) {
    auto measured = MeasuredBefore(stored.recommendation.table());
    if (absl::IsUnavailable(measured.status())) return measured.status();
    if (measured.ok()) change.measured_before = *std::move(measured);
  }
  if (change.attempts_count >= kMaxAttemptsCount && !IsDrop(kind)) {
    change.step = Step::kClean;
    if (change.error.empty()) change.error = "interrupted too often";
    RecommendationStore store(*control_, deps_.clock, deps_.random);
    return store.Save(change);
  }
  ++change.attempts_count;
  RecommendationStore store(*control_, deps_.clock, deps_.random);
  if (absl::Status status = store.Save(change); !status.ok()) return status;
  return AfterBuild(change, stored, RunStatements(change, stored));
}

absl::Status ChangeRunner::RunStatements(const Change& change, const StoredRecommendation& stored) {
  deps_.logger.Info("a change of the database begins",
                    {{"recommendation_id", change.recommendation_id},
                     {"attempt", change.attempts_count},
                     {"table", stored.recommendation.table()}});
  for (const auto& sql : stored.recommendation.apply_statements()) {
    absl::Status status = guarded_.Run(sql, options_.build_timeout);
    // An attempt before this one had made it: statistics have no IF NOT EXISTS to rely on.
    const bool there = IsThere(status) && change.attempts_count > 1;
    if (!status.ok() && !there) return status;
  }
  return absl::OkStatus();
}

absl::Status ChangeRunner::AfterBuild(Change& change, StoredRecommendation& stored,
                                      const absl::Status& built) {
  if (built.ok()) return BeginVerify(change, stored);
  // Nobody knows how far it came; the next round looks.
  if (absl::IsUnavailable(built)) return built;
  change.error = std::string(built.message());
  RecommendationStore store(*control_, deps_.clock, deps_.random);
  const auto kind = stored.recommendation.kind();
  // A drop that was begun may have left the index invalid, so it is ended, however long that takes.
  const bool again = Passing(built) || (IsDrop(kind) && absl::IsDeadlineExceeded(built));
  // What has the name of the statistics is not ours to clean up.
  if (kind == Recommendation::CREATE_STATISTICS && IsThere(built)) {
    return Finish(change, stored, Recommendation::FAILED);
  }
  if (!again) {
    change.step = Step::kClean;
    if (absl::IsDeadlineExceeded(built)) {
      change.error =
          absl::StrCat("it took longer than ", absl::FormatDuration(options_.build_timeout),
                       " (database_optimizer.advisor.build_timeout_ms), perhaps because "
                       "of a transaction that stayed open");
    }
    if (absl::Status status = store.Save(change); !status.ok()) return status;
    return Clean(change, stored);
  }
  {
    sync::MutexLock lock(mutex_);
    figures_.gave_way_count += status::Reason(built) == kGaveWay;
  }
  change.due_at = deps_.clock.Now() + Backoff(change.attempts_count);
  if (absl::Status status = store.Save(change); !status.ok()) return status;
  // What is left costs every write until the next attempt. If it cannot be dropped now, that one
  // does.
  absl::Status dropped = DropIfOurs(stored, false);
  return absl::IsUnavailable(dropped) ? dropped : absl::OkStatus();
}

absl::Status ChangeRunner::DropIfOurs(const StoredRecommendation& stored, bool even_valid) {
  if (stored.recommendation.kind() != Recommendation::CREATE_INDEX) return absl::OkStatus();
  auto state = StateOf(stored);
  if (!state.ok()) return state.status();
  if (*state == IndexState::kMissing) return absl::OkStatus();
  const bool ours = OwnName(stored.index_name) && (*state == IndexState::kInvalid ||
                                                   (even_valid && *state == IndexState::kValid));
  if (!ours) {
    return status::Error(absl::StatusCode::kFailedPrecondition, "INDEX_NOT_OURS",
                         absl::StrCat(stored.index_name,
                                      " is not left by us, or its name does not begin with "
                                      "database_optimizer.advisor.index_prefix: it stays"));
  }
  return guarded_.Run(DropIndexSql(stored.index_schema, stored.index_name), kDropTimeout);
}

absl::Status ChangeRunner::Clean(Change& change, StoredRecommendation& stored) {
  absl::Status status = DropIfOurs(stored, false);
  if (stored.recommendation.kind() == Recommendation::CREATE_STATISTICS) {
    status = guarded_.Run(stored.recommendation.revert_statements(0), kDropTimeout);
  }
  if (absl::IsUnavailable(status)) return status;
  if (!status.ok() && status::Reason(status) != "INDEX_NOT_OURS") {
    RecommendationStore store(*control_, deps_.clock, deps_.random);
    change.due_at = deps_.clock.Now() + kFirstBackoff;
    return store.Save(change);
  }
  return Finish(change, stored, Recommendation::FAILED);
}

absl::Status ChangeRunner::BeginVerify(Change& change, StoredRecommendation& stored) {
  Measurement from;
  auto counters = ReadCounters(*control_, options_.max_statements_count);
  if (absl::IsUnavailable(counters.status())) return counters.status();
  if (counters.ok()) {
    from.counters = std::move(counters->by_fingerprint);
    from.since = counters->since;
  }
  change.measured_from = ToJson(from);
  change.step = Step::kVerify;
  change.error.clear();
  change.due_at = deps_.clock.Now() + options_.verify_time;
  stored.recommendation.set_status(Recommendation::VERIFYING);
  RecommendationStore store(*control_, deps_.clock, deps_.random);
  return store.Advance(change, stored.recommendation, false);
}

absl::Status ChangeRunner::Measure(Change& change, StoredRecommendation& stored) {
  const bool due = change.due_at <= deps_.clock.Now();
  auto counters = ReadCounters(*control_, options_.max_statements_count);
  if (absl::IsUnavailable(counters.status())) return counters.status();
  const Measurement before = MeasurementFromJson(change.measured_before);
  Measurement from = MeasurementFromJson(change.measured_from);
  Verdict verdict;
  Verdict severe;
  if (counters.ok()) {
    // After a reset of the counters, all that they show came after it.
    const Counters after = counters->since == from.since
                               ? Between(from.counters, counters->by_fingerprint)
                               : counters->by_fingerprint;
    VerificationOptions options = options_.verification;
    verdict = Verify(before.counters, after, before.on_table, options);
    options.max_harm_percent *= kSevereHarmFactor;
    severe = Verify(before.counters, after, before.on_table, options);
    if (!due) verdict = severe;
  }
  if (!due && !verdict.harmed) return absl::OkStatus();
  if (due && verdict.harmed && change.error.empty() && !severe.harmed) {
    // Noise that lasts, such as a backup on the same machine, looks like harm. A second look.
    change.error = verdict.reason;
    from.counters = std::move(counters->by_fingerprint);
    from.since = counters->since;
    change.measured_from = ToJson(from);
    change.due_at = deps_.clock.Now() + options_.verify_time / 2;
    RecommendationStore store(*control_, deps_.clock, deps_.random);
    return store.Save(change);
  }
  auto* verification = stored.recommendation.mutable_verification();
  verification->set_mean_before_ms(verdict.mean_before_ms);
  verification->set_mean_after_ms(verdict.mean_after_ms);
  verification->set_statements_count(verdict.statements_count);
  verification->set_calls_count(verdict.calls_count);
  verification->set_kept(!verdict.harmed);
  *verification->mutable_verified_at() = timestamp::FromTime(deps_.clock.Now());
  if (!verdict.harmed) {
    change.error.clear();
    return Finish(change, stored, Recommendation::VERIFIED);
  }
  change.step = Step::kRevert;
  change.error = verdict.reason;
  change.due_at = deps_.clock.Now();
  stored.recommendation.set_error(verdict.reason);
  stored.recommendation.set_status(Recommendation::REVERTING);
  RecommendationStore store(*control_, deps_.clock, deps_.random);
  if (absl::Status status = store.Advance(change, stored.recommendation, false); !status.ok()) {
    return status;
  }
  deps_.logger.Warning("a change of the database did harm and is taken back",
                       {{"recommendation_id", change.recommendation_id}, {"why", verdict.reason}});
  Audit("RevertHarm", stored, change, "VERIFYING", "REVERTING");
  return Revert(change, stored);
}

absl::Status ChangeRunner::Revert(Change& change, StoredRecommendation& stored) {
  const auto kind = stored.recommendation.kind();
  absl::Status status;
  if (kind == Recommendation::CREATE_INDEX) {
    status = DropIfOurs(stored, true);
  } else if (IsDrop(kind) && stored.recommendation.revert_statements_size() > 0) {
    auto state = StateOf(stored);
    if (!state.ok()) return state.status();
    // Left by an attempt of ours to make it again: it was gone when the change was verified.
    if (*state == IndexState::kInvalid) {
      status = guarded_.Run(DropIndexSql(stored.index_schema, stored.index_name), kDropTimeout);
    }
    if (status.ok() && *state != IndexState::kValid) {
      status = guarded_.Run(stored.recommendation.revert_statements(0), options_.build_timeout);
    }
  } else {
    for (const auto& sql : stored.recommendation.revert_statements()) {
      status = guarded_.Run(sql, options_.build_timeout);
      if (!status.ok()) break;
    }
  }
  if (status.ok()) return Finish(change, stored, Recommendation::REVERTED);
  if (absl::IsUnavailable(status)) return status;
  // Until it works: harm must not stay.
  ++change.attempts_count;
  change.due_at = deps_.clock.Now() + std::min(Backoff(change.attempts_count), absl::Minutes(1));
  RecommendationStore store(*control_, deps_.clock, deps_.random);
  return store.Save(change);
}

}  // namespace slipstream::database_optimizer
