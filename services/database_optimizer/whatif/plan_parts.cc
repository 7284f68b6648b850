#include "services/database_optimizer/whatif/plan_parts.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace slipstream::database_optimizer {

namespace {

using nlohmann::json;

// What tells two steps of the same kind apart. Rows and costs are left out: they are guesses.
constexpr const char* kNames[] = {"Node Type",  "Join Type",  "Relation Name", "Alias",
                                  "Index Name", "Index Cond", "Filter",        "Join Filter",
                                  "Hash Cond",  "Merge Cond", "Recheck Cond",  "Strategy",
                                  "Sort Key",   "Group Key",  "Scan Direction"};
constexpr int kMaxDepth = 200;

double Number(const json& node, const char* name) {
  const auto found = node.find(name);
  return found != node.end() && found->is_number() ? found->get<double>() : 0;
}

std::string NameOf(const json& node) {
  std::string out;
  for (const char* name : kNames) {
    const auto found = node.find(name);
    if (found != node.end()) absl::StrAppend(&out, name, "=", found->dump(), ";");
  }
  return out;
}

bool Is(const json& node, const char* name, const char* value) {
  const auto found = node.find(name);
  return found != node.end() && found->is_string() && found->get_ref<const std::string&>() == value;
}

bool RunsOnce(const json& node, const json& child) {
  return !Is(node, "Node Type", "Nested Loop") || !Is(child, "Parent Relationship", "Inner");
}

// How often a child runs for one run of its parent, as far as the plan says. A subplan's runs are
// in its parent's cost alone.
double RunsOf(const json& node, const json& child, double outer_rows, double left_cost) {
  if (Is(child, "Parent Relationship", "SubPlan")) {
    return std::max(1.0, left_cost / std::max(1e-9, Number(child, "Total Cost")));
  }
  return RunsOnce(node, child) ? 1 : std::max(1.0, outer_rows);
}

// `share`: the part of the plan's whole cost that this step has with all below it.
// `once`: nothing above it runs it again.
void Collect(const json& node, double share, bool once, int depth, PlanParts& out) {
  const auto plans = node.find("Plans");
  struct Below {
    const json* plan;
    double cost;
    bool once;
  };
  std::vector<Below> below;
  double below_cost = 0;
  if (depth < kMaxDepth && plans != node.end() && plans->is_array()) {
    const double total = Number(node, "Total Cost");
    double outer_rows = 1;
    // Subplans last: what is left is theirs.
    for (const bool subplans : {false, true}) {
      for (const json& child : *plans) {
        if (!child.is_object() || Is(child, "Parent Relationship", "SubPlan") != subplans) continue;
        const double runs = RunsOf(node, child, outer_rows, total - below_cost);
        if (Is(child, "Parent Relationship", "Outer")) outer_rows = Number(child, "Plan Rows");
        below.push_back(
            {&child, runs * Number(child, "Total Cost"), !subplans && RunsOnce(node, child)});
        below_cost += below.back().cost;
      }
    }
    // A LIMIT, or a repeated scan of what is kept in memory, costs less than what is below it.
    const double scale = share / std::max({total, below_cost, 1e-9});
    for (auto& one : below) one.cost *= scale;
    below_cost *= scale;
  }
  PlanPart& part = out[NameOf(node)];
  part.cost += std::max(0.0, share - below_cost);
  part.known = once && Is(node, "Node Type", "Seq Scan");
  for (const auto& one : below) Collect(*one.plan, one.cost, once && one.once, depth + 1, out);
}

}  // namespace

PlanParts PartsOf(const json& root) {
  PlanParts out;
  if (root.is_object()) Collect(root, Number(root, "Total Cost"), true, 0, out);
  return out;
}

double EstimateMs(const MeasuredPlan& measured, double cost, const PlanParts& parts,
                  double unit_ms) {
  if (measured.cost <= 0) return measured.time_ms;
  const double own_unit_ms = measured.time_ms / measured.cost;
  unit_ms = std::min(unit_ms, own_unit_ms);
  double known_cost = 0;
  for (const auto& [name, part] : *measured.parts) known_cost += part.known ? part.cost : 0;
  const double guessed_cost = measured.cost - known_cost;
  // A share of a thousandth can hardly have taken all the time.
  const bool only_known = guessed_cost < 0.001 * measured.cost;
  const double known_unit_ms = only_known ? own_unit_ms : unit_ms;
  const double guessed_unit_ms =
      only_known ? own_unit_ms : (measured.time_ms - known_cost * unit_ms) / guessed_cost;
  double common_cost = 0;
  double out_ms = 0;
  for (const auto& [name, part] : *measured.parts) {
    const auto found = parts.find(name);
    if (found == parts.end()) continue;
    const double common = std::min(part.cost, found->second.cost);
    common_cost += common;
    out_ms += common * (part.known ? known_unit_ms : guessed_unit_ms);
  }
  return out_ms + std::max(0.0, cost - common_cost) * unit_ms;
}

double MiddleUnitMs(std::vector<std::pair<double, double>> cost_and_ms) {
  std::erase_if(cost_and_ms, [](const auto& one) { return one.first <= 0; });
  std::sort(cost_and_ms.begin(), cost_and_ms.end(),
            [](const auto& a, const auto& b) { return a.second / a.first < b.second / b.first; });
  double all = 0;
  for (const auto& one : cost_and_ms) all += one.first;
  double passed = 0;
  for (const auto& [cost, ms] : cost_and_ms) {
    passed += cost;
    if (passed >= all / 2) return ms / cost;
  }
  return 0;
}

}  // namespace slipstream::database_optimizer
