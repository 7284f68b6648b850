// A plan as EXPLAIN (FORMAT JSON) gives it: what may be shown of it, and what is worth a look.
//
// Thread safety: pure functions. A text that is no plan gives an empty plan and no findings.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_PLAN_TEXT_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_PLAN_TEXT_H_

#include <string>
#include <vector>

namespace slipstream::database_optimizer {

// The plan, compact, with the constants of all conditions and outputs replaced (see
// RedactConstants); names of tables, indexes and the like stay.
std::string RedactPlan(const std::string& plan_json);

// What is worth a look, at most 20 sentences that each name their object and figure:
//   - a sequential scan that reads kLargeScanRows rows or more, by the estimate or as measured, and
//     what it throws away;
//   - with `analyze`: rows that were estimated wrong by more than kMisestimateFactor in nodes of at
//     least kMinMisestimatedRows rows; sorts and hashes that went to disk; heap fetches of
//     index-only scans; a filter that throws most rows of an index scan away; JIT that took more
//     than a tenth of the time; workers that were planned and not there; blocks read from disk;
//   - a nested loop over an inner sequential scan; a cross join.
std::vector<std::string> PlanFindings(const std::string& plan_json);

inline constexpr double kLargeScanRows = 10000;
inline constexpr double kMisestimateFactor = 10;
inline constexpr double kMinMisestimatedRows = 100;

// Times of a plan with ANALYZE, in milliseconds; 0 without.
struct PlanTimes {
  double planning_ms = 0;
  double execution_ms = 0;
};
PlanTimes TimesOf(const std::string& plan_json);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_PLAN_TEXT_H_
