// Which recommendation may be applied without being asked, and when. Pure: time is passed in.
//
// Thread safety: pure functions.
// Errors: INVALID_ARGUMENT for a window that cannot be read.
#ifndef SERVICES_DATABASE_OPTIMIZER_APPLY_AUTO_APPLY_POLICY_H_
#define SERVICES_DATABASE_OPTIMIZER_APPLY_AUTO_APPLY_POLICY_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/database_optimizer/recommendations/recommendation_store.h"

namespace slipstream::database_optimizer {

// A time of day in UTC, that may pass midnight; the whole day when begin and end are the same.
struct DailyWindow {
  int begin_minute = 0, end_minute = 0;  // of the day; the end is not part of it

  // "HH:MM-HH:MM"; "" is the whole day.
  static absl::StatusOr<DailyWindow> Parse(const std::string& text);
  bool Contains(absl::Time time) const;
};

struct AutoApplyPolicy {
  bool enabled = false;
  DailyWindow window;
  int64_t max_bytes = 0;
  std::vector<std::string> tables;  // schema.table; empty: all
  int max_changes_per_day_count = 0;
  double min_gain_percent = 0;

  // Whether a change may begin now; `figures` of the last 24 hours.
  bool MayBegin(absl::Time now, const RecommendationStore::AutomaticFigures& figures) const;
  // The first of `proposals` (greatest gain first) that may be applied: a new index, on one of the
  // tables, with enough gain, within the bytes that are left.
  const StoredRecommendation* Choose(const std::vector<StoredRecommendation>& proposals,
                                     const RecommendationStore::AutomaticFigures& figures) const;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_APPLY_AUTO_APPLY_POLICY_H_
