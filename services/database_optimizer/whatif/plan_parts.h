// What a plan's cost consists of, and what a statement's time will be with another plan.
//
// The planner's cost says little about time where it has misjudged how often something runs: a plan
// that it took for ten scans and that made two hundred has a time twenty times that of its cost,
// and the plan with an index, of which the planner is right, has not. So the time with another plan
// is
//
//   cost of what both plans have in common * time that a unit of it took
//   + cost of what is new * time that a unit takes in the workload's middle
//
// where no unit takes longer than the statement's own did. What a statement took beyond the
// workload's middle is not ascribed to sequential scans that run once (their work is the table's
// size, which is known) as long as there is something else.
//
// Thread safety: plain values. Nothing fails.
#ifndef SERVICES_DATABASE_OPTIMIZER_WHATIF_PLAN_PARTS_H_
#define SERVICES_DATABASE_OPTIMIZER_WHATIF_PLAN_PARTS_H_

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace slipstream::database_optimizer {

struct PlanPart {
  double cost = 0;
  bool known = false;  // its cost rests on no guess of rows
};

// The steps of a plan, each without the steps below it, by what the step does. Their costs add up
// to the plan's.
using PlanParts = std::map<std::string, PlanPart>;

// `root`: the "Plan" of EXPLAIN (FORMAT JSON).
PlanParts PartsOf(const nlohmann::json& root);

struct MeasuredPlan {
  double cost = 0;
  double time_ms = 0;
  const PlanParts* parts = nullptr;
};

// Of the same statement with another plan of `cost`. `unit_ms`: what a unit of cost takes in the
// workload's middle.
double EstimateMs(const MeasuredPlan& measured, double cost, const PlanParts& parts,
                  double unit_ms);

// The middle of times by cost, each weighing as much as its cost; 0 without any.
double MiddleUnitMs(std::vector<std::pair<double, double>> cost_and_ms);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WHATIF_PLAN_PARTS_H_
