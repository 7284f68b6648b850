#include "services/database_optimizer/apply/change_runner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "libs/timestamp/timestamp.h"
#include "services/database_optimizer/apply/measurement.h"
#include "services/database_optimizer/candidates/statement_shape.h"
#include "services/database_optimizer/recommendations/own_tables.h"
#include "services/database_optimizer/whatif/catalog_reader.h"
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
constexpr absl::Duration kSearchInterval = absl::Hours(1);
constexpr absl::Duration kSearchTime = absl::Minutes(2);
constexpr absl::Duration kDeleteInterval = absl::Hours(1);
constexpr size_t kMaxReadingsCount = 16;
constexpr int kMaxListedCount = 100;
// For harm so many times the allowed one a change is taken back before the time is over, and
// without a second look.
constexpr double kSevereHarmFactor = 4;

constexpr char kService[] = "slipstream.database_optimizer.v1.DatabaseOptimizerService/";

constexpr char kStateSql[] = R"(
SELECT i.indexrelid IS NOT NULL, i.indisvalid AND i.indisready AND i.indislive,
       pg_get_indexdef(i.indexrelid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indexrelid = c.oid WHERE n.nspname = $1 AND c.relname = $2)";

bool IsDrop(Recommendation::Kind kind) {
  return kind == Recommendation::DROP_UNUSED_INDEX ||
         kind == Recommendation::DROP_DUPLICATE_INDEX ||
         kind == Recommendation::DROP_INVALID_INDEX;
}

// What passes by itself: others had the lock, or we were in each other's way.
bool Passing(const absl::Status& status) {
  const std::string sqlstate = status::Metadata(status, "sqlstate").value_or("");
  return status::Reason(status) == kGaveWay || sqlstate == "40P01" || sqlstate == "55P03" ||
         sqlstate == "40001";
}

absl::Duration Backoff(int attempts_count) {
  absl::Duration out = kFirstBackoff;
  for (int i = 1; i < attempts_count && out < kMaxBackoff; ++i) out *= 2;
  return std::min(out, kMaxBackoff);
}

}  // namespace

ChangeRunner::ChangeRunner(Deps deps, ChangeOptions options)
    : deps_(std::move(deps)), options_(std::move(options)), guarded_([&] {
        postgres::ConnectionOptions connection = deps_.connection;
        connection.application_name = "slipstream changes";
        return connection;
      }()) {}

ChangeRunner::~ChangeRunner() { Stop(); }

void ChangeRunner::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void ChangeRunner::Stop() {
  {
    sync::MutexLock lock(mutex_);
    stopping_ = true;
    if (cut_ != nullptr) cut_->Abort();
    changed_.SignalAll();
  }
  guarded_.Stop();
  if (thread_.joinable()) thread_.join();
}

void ChangeRunner::Wake() {
  sync::MutexLock lock(mutex_);
  woken_ = true;
  changed_.SignalAll();
}

ChangeFigures ChangeRunner::figures() const {
  sync::MutexLock lock(mutex_);
  return figures_;
}

absl::Duration ChangeRunner::Interval() const {
  return std::clamp(options_.verify_time / 10, absl::Milliseconds(50), absl::Seconds(1));
}

void ChangeRunner::Loop() {
  std::string said;  // the last error, so that a server that is away is one line
  for (;;) {
    absl::Status status = Round();
    {
      sync::MutexLock lock(mutex_);
      if (stopping_) break;
    }
    if (absl::IsUnavailable(status)) {
      {
        sync::MutexLock lock(mutex_);
        cut_ = nullptr;
      }
      control_.reset();
      guarded_.Close();
    }
    const std::string now = status.ok() ? "" : std::string(status.message());
    if (!now.empty() && now != said) {
      deps_.logger.Warning("changes of the database wait", {{"error", status}});
    }
    said = now;
    sync::MutexLock lock(mutex_);
    if (!woken_ && !stopping_) {
      if (!changed_.WaitFor(mutex_, status.ok() ? Interval() : absl::Seconds(1))) {
        // Time for the next round.
      }
    }
    woken_ = false;
    if (stopping_) break;
  }
  sync::MutexLock lock(mutex_);
  cut_ = nullptr;
}

absl::Status ChangeRunner::Connect() {
  if (control_ != nullptr) return absl::OkStatus();
  auto connection = postgres::Connection::Open(deps_.connection);
  if (!connection.ok()) return connection.status();
  control_ = *std::move(connection);
  sync::MutexLock lock(mutex_);
  cut_ = control_.get();
  return absl::OkStatus();
}

absl::Status ChangeRunner::Round() {
  if (absl::Status status = Connect(); !status.ok()) return status;
  // Until somebody asks for something, nothing is made in a database that is only looked at.
  if (!options_.automatic.enabled) {
    auto there = control_->Query("SELECT to_regclass('slipstream.changes') IS NOT NULL");
    if (!there.ok()) return there.status();
    if (there->empty() || !BoolAt(there->front(), 0)) return absl::OkStatus();
  }
  if (absl::Status status = EnsureOwnTables(*control_); !status.ok()) return status;
  auto mine = guarded_.Acquire();
  if (!mine.ok()) return mine.status();
  if (!*mine) return absl::OkStatus();  // another replica does it
  if (absl::Status status = TakeReading(); !status.ok()) return status;
  RecommendationStore store(*control_, deps_.clock, deps_.random);
  auto changes = store.OpenChanges();
  if (!changes.ok()) return changes.status();
  {
    sync::MutexLock lock(mutex_);
    figures_.open_count = static_cast<int>(changes->size());
  }
  // One at a time: what is measured after one change must not be another one's doing.
  bool busy = std::any_of(changes->begin(), changes->end(), [](const Change& change) {
    return change.step != Step::kBuild || change.attempts_count > 0;
  });
  for (Change& change : *changes) {
    {
      sync::MutexLock lock(mutex_);
      if (stopping_) return absl::OkStatus();
    }
    const bool begins = change.step == Step::kBuild && change.attempts_count == 0;
    if (begins && std::exchange(busy, true)) continue;
    absl::Status status = Advance(std::move(change));
    // Somebody asked for something else meanwhile: the next round reads it.
    if (!status.ok() && status::Reason(status) != kRecommendationChanged) return status;
  }
  if (absl::Status status = ApplyAutomatically(); !status.ok()) return status;
  if (deps_.clock.Now() - cleaned_at_ < kDeleteInterval) return absl::OkStatus();
  cleaned_at_ = deps_.clock.Now();
  return store.DeleteOld();
}

// -- one change --------------------------------------------------------------------------------

absl::Status ChangeRunner::Advance(Change change) {
  const bool due = change.due_at <= deps_.clock.Now();
  if (!due && change.step != Step::kVerify) return absl::OkStatus();
  RecommendationStore store(*control_, deps_.clock, deps_.random);
  auto stored = store.Get(change.recommendation_id);
  if (!stored.ok()) return stored.status();
  switch (change.step) {
    case Step::kBuild: return Build(change, *stored);
    case Step::kVerify: return Measure(change, *stored);
    case Step::kClean: return Clean(change, *stored);
    case Step::kRevert: return Revert(change, *stored);
  }
  return absl::OkStatus();
}

bool ChangeRunner::OwnName(const std::string& name) const {
  return absl::StartsWith(name, options_.advisor.index_prefix);
}

absl::StatusOr<ChangeRunner::IndexState> ChangeRunner::StateOf(
    const StoredRecommendation& stored) {
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
  if (change.attempts_count >= kMaxAttemptsCount) {
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
    const bool there = status::Metadata(status, "sqlstate").value_or("") == "42710" &&
                       change.attempts_count > 1;
    if (!status.ok() && !there) return status;
  }
  return absl::OkStatus();
}

absl::Status ChangeRunner::AfterBuild(Change& change, StoredRecommendation& stored,
                                      const absl::Status& built) {
  if (built.ok()) {
    {
      sync::MutexLock lock(mutex_);
      ++figures_.built_count;
    }
    return BeginVerify(change, stored);
  }
  // Nobody knows how far it came; the next round looks.
  if (absl::IsUnavailable(built)) return built;
  change.error = std::string(built.message());
  RecommendationStore store(*control_, deps_.clock, deps_.random);
  if (!Passing(built)) {
    change.step = Step::kClean;
    if (absl::IsDeadlineExceeded(built)) {
      change.error = absl::StrCat("it took longer than ",
                                  absl::FormatDuration(options_.build_timeout),
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
    return status::Error(
        absl::StatusCode::kFailedPrecondition, "INDEX_NOT_OURS",
        absl::StrCat(stored.index_name, " is not left by us, or its name does not begin with "
                                        "database_optimizer.advisor.index_prefix: it stays"));
  }
  return guarded_.Run(DropIndexSql(stored.index_schema, stored.index_name), kDropTimeout);
}

absl::Status ChangeRunner::Clean(Change& change, StoredRecommendation& stored) {
  absl::Status status = DropIfOurs(stored, false);
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
                       {{"recommendation_id", change.recommendation_id},
                        {"why", verdict.reason}});
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

absl::Status ChangeRunner::Finish(Change& change, StoredRecommendation& stored,
                                  Recommendation::Status to) {
  stored.recommendation.set_status(to);
  stored.recommendation.set_error(status::BoundedText(change.error, 1000));
  RecommendationStore store(*control_, deps_.clock, deps_.random);
  if (absl::Status status = store.Advance(change, stored.recommendation, true); !status.ok()) {
    return status;
  }
  searched_at_ = absl::InfinitePast();  // what was found before is no longer so
  {
    sync::MutexLock lock(mutex_);
    figures_.kept_count += to == Recommendation::VERIFIED;
    figures_.reverted_count += to == Recommendation::REVERTED;
    figures_.failed_count += to == Recommendation::FAILED;
  }
  deps_.logger.Info("a change of the database ended",
                    {{"recommendation_id", change.recommendation_id},
                     {"status", Recommendation::Status_Name(to)},
                     {"error", stored.recommendation.error()}});
  if (change.automatic) {
    Audit("AutoApplyEnd", stored, change, "", Recommendation::Status_Name(to));
  }
  return absl::OkStatus();
}

// -- measuring ---------------------------------------------------------------------------------

absl::Status ChangeRunner::TakeReading() {
  const absl::Time now = deps_.clock.Now();
  const absl::Duration interval = std::max(options_.verify_time / 4, absl::Milliseconds(100));
  if (!readings_.empty() && now - readings_.back().at < interval) return absl::OkStatus();
  auto counters = ReadCounters(*control_, options_.max_statements_count);
  if (absl::IsUnavailable(counters.status())) return counters.status();
  if (!counters.ok()) return absl::OkStatus();  // without pg_stat_statements nothing is measured
  readings_.push_back({now, *std::move(counters)});
  while (readings_.size() > 1 && (readings_.size() > kMaxReadingsCount ||
                                  readings_[1].at < now - options_.verify_time)) {
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
    const Counters lately =
        Between(readings_.front().counters.by_fingerprint, now->by_fingerprint);
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
      return place >= 0 && absl::StrCat(catalog->table(place).schema, ".",
                                        catalog->table(place).name) == table;
    };
    bool on_table = is_table(shape->written_table);
    for (const auto& relation : shape->relations) on_table |= is_table(relation.table);
    if (on_table) out.on_table.insert(statement.fingerprint);
  }
  return ToJson(out);
}

// -- without being asked -----------------------------------------------------------------------

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
  auto proposals =
      store.List(Recommendation::PROPOSED, Recommendation::CREATE_INDEX, std::nullopt,
                 kMaxListedCount);
  if (!proposals.ok()) return proposals.status();
  const StoredRecommendation* chosen = options_.automatic.Choose(*proposals, *figures);
  if (chosen == nullptr) return absl::OkStatus();
  const auto& r = chosen->recommendation;
  auto change = store.BeginChange(r.recommendation_id(), Recommendation::PROPOSED,
                                  Recommendation::APPLYING, Step::kBuild, true, "auto_apply",
                                  r.evidence().size_bytes());
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

void ChangeRunner::Audit(const std::string& action, const StoredRecommendation& stored,
                         const Change& change, const std::string& before,
                         const std::string& after) {
  audit::AuditEntry entry;
  entry.occurred_at = deps_.clock.Now();
  entry.user = "slipstream";
  entry.acting_service = "database_optimizer";
  entry.service = "database_optimizer";
  entry.action = absl::StrCat(kService, action);
  entry.target = change.recommendation_id;
  entry.before = before;
  entry.after = absl::StrCat(after, after.empty() ? "" : " ",
                             stored.recommendation.apply_statements_size() > 0
                                 ? stored.recommendation.apply_statements(0)
                                 : "");
  if (!change.error.empty()) absl::StrAppend(&entry.after, " (", change.error, ")");
  deps_.audit.Record(std::move(entry));
}

}  // namespace slipstream::database_optimizer
