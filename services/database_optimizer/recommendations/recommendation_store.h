// Recommendations and the changes made for them, in the service's own tables.
//
// Thread safety: functions on a connection, one thread at a time. Each is one transaction.
// Errors: NOT_FOUND RECOMMENDATION_NOT_FOUND; ABORTED RECOMMENDATION_CHANGED (it was no longer in
// the state that the caller believed); those of postgres::Connection.
#ifndef SERVICES_DATABASE_OPTIMIZER_RECOMMENDATIONS_RECOMMENDATION_STORE_H_
#define SERVICES_DATABASE_OPTIMIZER_RECOMMENDATIONS_RECOMMENDATION_STORE_H_

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/clock/clock.h"
#include "libs/postgres/connection.h"
#include "libs/random/random.h"
#include "services/database_optimizer/whatif/index_advisor.h"
#include "slipstream/database_optimizer/v1/database_optimizer.pb.h"

namespace slipstream::database_optimizer {

inline constexpr absl::string_view kRecommendationNotFound = "RECOMMENDATION_NOT_FOUND";
inline constexpr absl::string_view kRecommendationChanged = "RECOMMENDATION_CHANGED";

// How long what was taken back is not proposed again.
inline constexpr absl::Duration kBarredFor = absl::Hours(24 * 7);
// Finished ones are kept so long.
inline constexpr absl::Duration kFinishedKept = absl::Hours(24 * 90);

using RecommendationStatus = v1::Recommendation::Status;

struct StoredRecommendation {
  v1::Recommendation recommendation;
  std::string object, index_schema, index_name;
  double gain = 0;
};

// What is to be done next with a change.
enum class Step { kBuild, kVerify, kClean, kRevert };
std::string StepName(Step step);

struct Change {
  std::string change_id, recommendation_id;
  Step step = Step::kBuild;
  bool automatic = false;
  std::string requested_by;
  int attempts_count = 0;
  int64_t size_bytes = 0;
  std::string measured_before, measured_from;  // JSON; empty: not measured
  std::string error;
  absl::Time due_at, started_at;
  // The step as it is recorded: a change that was asked for meanwhile is not overwritten.
  Step recorded_step = Step::kBuild;
};

class RecommendationStore {
 public:
  RecommendationStore(postgres::Connection& connection, const clock::Clock& clock,
                      random::Random& random)
      : connection_(connection), clock_(clock), random_(random) {}

  // Stores what a search found: a proposal that is there already keeps its id. Of the tables
  // searched (empty: all) proposals that were not found again are gone. The recommendations as
  // stored, in the same order.
  absl::StatusOr<std::vector<v1::Recommendation>> Propose(const std::vector<Proposal>& proposals,
                                                          const std::vector<std::string>& tables);
  absl::StatusOr<StoredRecommendation> Get(const std::string& recommendation_id);
  // Greatest gain first, after (gain, id); without plans.
  struct Position {
    double gain;
    std::string recommendation_id;
  };
  absl::StatusOr<std::vector<StoredRecommendation>> List(RecommendationStatus status,
                                                         v1::Recommendation::Kind kind,
                                                         const std::optional<Position>& after,
                                                         int limit_count);
  // The SQL of List, for the test that no filter leads to a sequential scan.
  static std::string ListSql(bool by_status, bool by_kind, bool after);

  // Names of indexes that were taken back or failed lately.
  absl::StatusOr<std::set<std::string>> BarredNames();
  // Deletes a bounded number of finished ones that are old.
  absl::Status DeleteOld();

  // -- changes -------------------------------------------------------------------------------

  // Records the intent: the recommendation goes from `from` to `to`, and a change begins at `step`.
  absl::StatusOr<std::string> BeginChange(const std::string& recommendation_id,
                                          RecommendationStatus from, RecommendationStatus to,
                                          Step step, bool automatic,
                                          const std::string& requested_by, int64_t size_bytes);
  // All that are not finished, the oldest first; at most 1,000.
  absl::StatusOr<std::vector<Change>> OpenChanges();
  // Records the next step before it is taken.
  absl::Status Save(Change& change);
  // Save, and the recommendation's new state; with `finished` the change is over.
  absl::Status Advance(Change& change, const v1::Recommendation& recommendation, bool finished);
  // One that is being verified is taken back instead.
  absl::Status TurnBack(const std::string& recommendation_id, const std::string& requested_by);

  struct AutomaticFigures {
    int64_t changes_count = 0;  // begun since
    int64_t bytes = 0;          // of those that stay or are in progress, whenever begun
  };
  absl::StatusOr<AutomaticFigures> Automatic(absl::Time since);

 private:
  absl::Status InTransaction(
      const std::vector<std::pair<std::string, std::vector<std::optional<std::string>>>>&
          statements);

  postgres::Connection& connection_;
  const clock::Clock& clock_;
  random::Random& random_;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_RECOMMENDATIONS_RECOMMENDATION_STORE_H_
