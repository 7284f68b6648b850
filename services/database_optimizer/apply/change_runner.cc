#include "services/database_optimizer/apply/change_runner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/database_optimizer/recommendations/own_tables.h"
#include "services/database_optimizer/whatif/row_reader.h"

namespace slipstream::database_optimizer {

namespace {

using v1::Recommendation;

constexpr absl::Duration kDeleteInterval = absl::Hours(1);

constexpr char kService[] = "slipstream.database_optimizer.v1.DatabaseOptimizerService/";

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

absl::Status ChangeRunner::Advance(Change change) {
  const bool due = change.due_at <= deps_.clock.Now();
  if (!due && change.step != Step::kVerify) return absl::OkStatus();
  RecommendationStore store(*control_, deps_.clock, deps_.random);
  auto stored = store.Get(change.recommendation_id);
  if (!stored.ok()) return stored.status();
  switch (change.step) {
    case Step::kBuild:
      return Build(change, *stored);
    case Step::kVerify:
      return Measure(change, *stored);
    case Step::kClean:
      return Clean(change, *stored);
    case Step::kRevert:
      return Revert(change, *stored);
  }
  return absl::OkStatus();
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
