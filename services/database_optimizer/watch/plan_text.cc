#include "services/database_optimizer/watch/plan_text.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/database_optimizer/watch/statement_text.h"

namespace slipstream::database_optimizer {

namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxFindingsCount = 20;
constexpr double kMostRows = 0.9;

// Values that are names or words of PostgreSQL's own, never a user's constant.
const std::set<std::string>& NameKeys() {
  static const auto* const kKeys = new std::set<std::string>{"Node Type",
                                                             "Relation Name",
                                                             "Schema",
                                                             "Alias",
                                                             "Index Name",
                                                             "Join Type",
                                                             "Strategy",
                                                             "Partial Mode",
                                                             "Operation",
                                                             "Scan Direction",
                                                             "Sort Method",
                                                             "Command",
                                                             "Subplan Name",
                                                             "CTE Name",
                                                             "Function Name",
                                                             "Sort Space Type",
                                                             "Cache Mode",
                                                             "Tuplestore Name",
                                                             "Parent Relationship"};
  return *kKeys;
}

// Without recursion: plans nest as deep as the statement does.
template <class Visit>
void ForEachObject(Json& root, Visit visit) {
  std::vector<Json*> left = {&root};
  while (!left.empty()) {
    Json* node = left.back();
    left.pop_back();
    if (node->is_object()) visit(*node);
    for (Json& child : *node) {
      if (child.is_structured()) left.push_back(&child);
    }
  }
}

double Number(const Json& node, const char* key) {
  const auto found = node.find(key);
  return found != node.end() && found->is_number() ? found->get<double>() : 0;
}
bool Has(const Json& node, const char* key) { return node.find(key) != node.end(); }
std::string Text(const Json& node, const char* key) {
  const auto found = node.find(key);
  return found != node.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string Rows(double count) { return absl::StrFormat("%.0f", count); }

// "Seq Scan on orders".
std::string NameOf(const Json& node) {
  std::string out = Text(node, "Node Type");
  std::string object = Text(node, "Relation Name");
  if (object.empty()) object = Text(node, "CTE Name");
  if (!Text(node, "Index Name").empty()) absl::StrAppend(&out, " using ", Text(node, "Index Name"));
  if (!object.empty()) absl::StrAppend(&out, " on ", object);
  return out;
}

void FindScan(const Json& node, std::vector<std::string>& out) {
  const std::string type = Text(node, "Node Type");
  const double loops = std::max(Number(node, "Actual Loops"), 1.0);
  const double removed = Number(node, "Rows Removed by Filter") * loops;
  const double rows =
      (Has(node, "Actual Rows") ? Number(node, "Actual Rows") * loops : Number(node, "Plan Rows"));
  const double read = rows + removed;
  if (absl::EndsWith(type, "Seq Scan")) {
    // Without ANALYZE it is not known what the filter throws away; the cost of reading is.
    const bool large =
        read >= kLargeScanRows ||
        (!Has(node, "Actual Rows") && Number(node, "Total Cost") >= kLargeScanRows / 40);
    if (!large) return;
    std::string text = absl::StrCat("sequential scan of ", Text(node, "Relation Name"));
    if (Has(node, "Actual Rows")) {
      absl::StrAppend(&text, ": it reads ", Rows(read), " rows");
      if (removed > 0) {
        absl::StrAppend(&text, " and its filter throws ", Rows(removed),
                        " of them away; an index on the filter's columns may help");
      }
    } else {
      absl::StrAppend(&text, ": the whole table is read at an estimated cost of ",
                      Rows(Number(node, "Total Cost")));
    }
    out.push_back(std::move(text));
  } else if (absl::StrContains(type, "Index") && read >= kLargeScanRows &&
             removed > kMostRows * read) {
    out.push_back(absl::StrCat(NameOf(node), ": its filter throws ", Rows(removed), " of ",
                               Rows(read),
                               " rows away; an index that has the filter's columns "
                               "may help"));
  }
  const double fetches = Number(node, "Heap Fetches");
  if (type == "Index Only Scan" && fetches >= kLargeScanRows) {
    out.push_back(absl::StrCat(NameOf(node), " had to look ", Rows(fetches),
                               " rows up in the table: VACUUM it, so that the index suffices"));
  }
}

void FindMisestimate(const Json& node, std::vector<std::string>& out) {
  // A node that is not run to its end, below a LIMIT, tells nothing.
  if (!Has(node, "Actual Rows") || Number(node, "Actual Loops") == 0) return;
  const double planned = std::max(Number(node, "Plan Rows"), 1.0);
  const double actual = std::max(Number(node, "Actual Rows"), 1.0);
  const double factor = std::max(planned / actual, actual / planned);
  if (factor <= kMisestimateFactor || std::max(planned, actual) < kMinMisestimatedRows) return;
  out.push_back(absl::StrFormat(
      "%s: %.0f rows were estimated and %.0f came, wrong by a factor of %.0f; ANALYZE the table, "
      "or "
      "CREATE STATISTICS on columns that depend on one another",
      NameOf(node), Number(node, "Plan Rows"), Number(node, "Actual Rows"), factor));
}

void FindDisk(const Json& node, std::vector<std::string>& out) {
  if (Text(node, "Sort Space Type") == "Disk") {
    out.push_back(absl::StrCat("a sort went to disk with ", Rows(Number(node, "Sort Space Used")),
                               " kB; work_mem above that keeps it in memory"));
  }
  if (Number(node, "Hash Batches") > 1) {
    out.push_back(absl::StrCat("a hash went to disk in ", Rows(Number(node, "Hash Batches")),
                               " batches; a greater work_mem keeps it in memory"));
  }
  if (Number(node, "HashAgg Batches") > 1 || Number(node, "Disk Usage") > 0) {
    out.push_back(absl::StrCat(NameOf(node), " went to disk with ",
                               Rows(Number(node, "Disk Usage")),
                               " kB; a greater work_mem keeps it in memory"));
  }
}

void FindJoin(const Json& node, std::vector<std::string>& out) {
  if (Text(node, "Node Type") != "Nested Loop" || !Has(node, "Plans")) return;
  const Json& plans = *node.find("Plans");
  if (!plans.is_array() || plans.size() < 2) return;
  const Json& inner = plans[1];
  const double loops = std::max(Number(inner, "Actual Loops"), Number(plans[0], "Plan Rows"));
  if (Text(inner, "Node Type") == "Seq Scan" && loops >= kMinMisestimatedRows) {
    out.push_back(absl::StrCat("a nested loop reads the whole of ", Text(inner, "Relation Name"),
                               " ", Rows(loops), " times; an index on its join column may help"));
  }
}

void FindWorkers(const Json& node, std::vector<std::string>& out) {
  if (!Has(node, "Workers Launched")) return;
  const double planned = Number(node, "Workers Planned");
  const double launched = Number(node, "Workers Launched");
  if (launched >= planned) return;
  out.push_back(absl::StrCat(Rows(launched), " of ", Rows(planned),
                             " planned workers were free; raise max_parallel_workers, or expect "
                             "other times when the server is busy"));
}

void FindInWhole(const Json& statement, std::vector<std::string>& out) {
  const double execution_ms = Number(statement, "Execution Time");
  const auto jit = statement.find("JIT");
  if (jit != statement.end() && jit->is_object() && Has(*jit, "Timing")) {
    const double jit_ms = Number(*jit->find("Timing"), "Total");
    if (jit_ms > execution_ms / 10) {
      out.push_back(
          absl::StrFormat("%.0f of %.0f ms went into JIT compilation; a greater "
                          "jit_above_cost spares short statements that",
                          jit_ms, execution_ms));
    }
  }
  const double planning_ms = Number(statement, "Planning Time");
  if (execution_ms > 0 && planning_ms > execution_ms && planning_ms > 10) {
    out.push_back(
        absl::StrFormat("planning took %.0f ms and running it %.0f ms; a prepared "
                        "statement spares the planning",
                        planning_ms, execution_ms));
  }
  const auto plan = statement.find("Plan");
  const double blocks_read = plan == statement.end() ? 0 : Number(*plan, "Shared Read Blocks");
  if (blocks_read >= kLargeScanRows) {
    out.push_back(absl::StrCat(Rows(blocks_read),
                               " blocks were not in shared buffers and had to "
                               "be read"));
  }
}

}  // namespace

std::string RedactPlan(const std::string& plan_json) {
  Json plan = Json::parse(plan_json, nullptr, /*allow_exceptions=*/false);
  if (plan.is_discarded() || !plan.is_structured()) return "";
  std::vector<std::pair<Json*, bool>> left = {{&plan, false}};
  while (!left.empty()) {
    const auto [node, is_name] = left.back();
    left.pop_back();
    if (node->is_string()) {
      if (!is_name) *node = RedactConstants(node->get_ref<const std::string&>());
    } else if (node->is_object()) {
      for (auto it = node->begin(); it != node->end(); ++it) {
        left.emplace_back(&it.value(), NameKeys().contains(it.key()));
      }
    } else if (node->is_array()) {
      for (Json& child : *node) left.emplace_back(&child, is_name);
    }
  }
  return plan.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::vector<std::string> PlanFindings(const std::string& plan_json) {
  std::vector<std::string> out;
  Json plan = Json::parse(plan_json, nullptr, /*allow_exceptions=*/false);
  if (plan.is_discarded() || !plan.is_structured()) return out;
  ForEachObject(plan, [&](const Json& node) {
    if (Has(node, "Plan") && Has(*node.find("Plan"), "Node Type")) FindInWhole(node, out);
    if (!Has(node, "Node Type")) return;
    FindScan(node, out);
    FindMisestimate(node, out);
    FindDisk(node, out);
    FindJoin(node, out);
    FindWorkers(node, out);
  });
  if (out.size() > kMaxFindingsCount) out.resize(kMaxFindingsCount);
  return out;
}

PlanTimes TimesOf(const std::string& plan_json) {
  const Json plan = Json::parse(plan_json, nullptr, /*allow_exceptions=*/false);
  if (!plan.is_array() || plan.empty() || !plan[0].is_object()) return {};
  return {Number(plan[0], "Planning Time"), Number(plan[0], "Execution Time")};
}

}  // namespace slipstream::database_optimizer
