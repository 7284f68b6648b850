// Makes the changes that were asked for, one at a time, on a thread of its own: build, measure,
// keep or take back. The tables of ../recommendations/own_tables.h say what is to be done next, and
// say it before it is done, so a process that dies goes on where it was, or cleans up, when it or
// another replica starts.
//
//        intent            built                 no harm, or nothing to measure
//   BUILD ------> (DDL) ----------> VERIFY ------------------------------------> VERIFIED
//     | failed, interrupted           | harm
//     v                               v
//   CLEAN ------> FAILED           REVERT ------> REVERTED
//
// One change at a time, from its build to the end of its measuring, so that what is measured is its
// own doing. One process at a time does this: it holds an advisory lock (guarded_statement.h). An
// index is only ever dropped as a left-over if its name has our prefix and a change says that we
// were about to make it.
//
// Thread safety: Start, Stop by the owner; Wake from any thread. Stop waits for the thread, and
// cuts what runs.
#ifndef SERVICES_DATABASE_OPTIMIZER_APPLY_CHANGE_RUNNER_H_
#define SERVICES_DATABASE_OPTIMIZER_APPLY_CHANGE_RUNNER_H_

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "libs/audit/audit_log.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/random/random.h"
#include "libs/sync/mutex.h"
#include "services/database_optimizer/apply/auto_apply_policy.h"
#include "services/database_optimizer/apply/guarded_statement.h"
#include "services/database_optimizer/apply/verification.h"

namespace slipstream::database_optimizer {

struct ChangeOptions {
  absl::Duration verify_time = absl::Minutes(10);
  absl::Duration build_timeout = absl::Hours(1);
  VerificationOptions verification;
  int max_statements_count = 200;  // whose counters are read
  AutoApplyPolicy automatic;
  AdvisorOptions advisor;  // of the searches before automatic changes
};

// Figures for /metrics, since start.
struct ChangeFigures {
  int64_t kept_count = 0, reverted_count = 0, failed_count = 0;
  int64_t gave_way_count = 0;
  int open_count = 0;
};

class ChangeRunner {
 public:
  struct Deps {
    postgres::ConnectionOptions connection;  // read-write; its user owns the tables
    const clock::Clock& clock;
    random::Random& random;
    audit::AuditLog& audit;
    logging::Logger logger;
  };
  ChangeRunner(Deps deps, ChangeOptions options);
  ~ChangeRunner();
  ChangeRunner(const ChangeRunner&) = delete;
  ChangeRunner& operator=(const ChangeRunner&) = delete;

  void Start();
  void Stop();
  // There is something to do.
  void Wake();
  ChangeFigures figures() const;

 private:
  struct Reading {
    absl::Time at;
    CountersReading counters;
  };

  void Loop();
  // One round; false when the database cannot be reached or another process is at it.
  absl::Status Round();
  absl::Status Connect();
  absl::Duration Interval() const;
  absl::Status TakeReading();
  absl::Status Advance(Change change);
  absl::Status Build(Change& change, StoredRecommendation& stored);
  absl::Status RunStatements(const Change& change, const StoredRecommendation& stored);
  absl::Status AfterBuild(Change& change, StoredRecommendation& stored, const absl::Status& built);
  absl::Status BeginVerify(Change& change, StoredRecommendation& stored);
  absl::Status Measure(Change& change, StoredRecommendation& stored);
  absl::Status Clean(Change& change, StoredRecommendation& stored);
  absl::Status Revert(Change& change, StoredRecommendation& stored);
  absl::Status Finish(Change& change, StoredRecommendation& stored, v1::Recommendation::Status to);
  absl::Status ApplyAutomatically();
  absl::Status Search();
  void Audit(const std::string& action, const StoredRecommendation& stored, const Change& change,
             const std::string& before, const std::string& after);
  absl::StatusOr<std::string> MeasuredBefore(const std::string& table);
  // The state of the index that a change makes or drops.
  enum class IndexState { kMissing, kInvalid, kValid, kOtherRelation };
  absl::StatusOr<IndexState> StateOf(const StoredRecommendation& stored);
  absl::Status DropIfOurs(const StoredRecommendation& stored, bool even_valid);
  bool OwnName(const std::string& name) const;

  Deps deps_;
  const ChangeOptions options_;
  GuardedConnection guarded_;
  std::unique_ptr<postgres::Connection> control_;  // what is recorded and measured
  std::deque<Reading> readings_;                   // the oldest first
  absl::Time searched_at_ = absl::InfinitePast();
  absl::Time cleaned_at_ = absl::InfinitePast();

  mutable sync::Mutex mutex_;
  sync::CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  postgres::Connection* cut_ ABSL_GUARDED_BY(mutex_) = nullptr;  // control_, for Stop
  ChangeFigures figures_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_APPLY_CHANGE_RUNNER_H_
