#include "services/database_optimizer/advisor/selection_table.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::database_optimizer {

namespace {

absl::Status Invalid(absl::string_view what) {
  return status::Error(absl::StatusCode::kInvalidArgument, kIndexSelectionInvalid, what);
}

bool IsCost(double cost) { return std::isfinite(cost) && cost >= 0; }

absl::Status CheckCombinations(const SelectionProblem& problem) {
  const int candidates = static_cast<int>(problem.size_bytes.size());
  for (size_t c = 0; c < problem.combinations.size(); ++c) {
    const auto& members = problem.combinations[c];
    if (members.size() > kMaxIndexesPerCombinationCount) {
      return Invalid(absl::StrCat("combination ", c, " has more than ",
                                  kMaxIndexesPerCombinationCount, " indexes"));
    }
    std::set<int> seen;
    for (int member : members) {
      if (member < 0 || member >= candidates || !seen.insert(member).second) {
        return Invalid(absl::StrCat("combination ", c, " names candidate ", member,
                                    ", which is unknown or there twice"));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Check(const SelectionProblem& problem) {
  if (problem.base_costs.size() > kMaxSelectionQueriesCount ||
      problem.size_bytes.size() > kMaxSelectionCandidatesCount ||
      problem.combinations.size() > kMaxSelectionCombinationsCount ||
      problem.costs.size() > kMaxSelectionCostsCount) {
    return Invalid(absl::StrCat("too large: at most ", kMaxSelectionQueriesCount, " queries, ",
                                kMaxSelectionCandidatesCount, " candidates, ",
                                kMaxSelectionCombinationsCount, " combinations and ",
                                kMaxSelectionCostsCount, " costs"));
  }
  if (!std::all_of(problem.base_costs.begin(), problem.base_costs.end(), IsCost)) {
    return Invalid("a query's base cost is negative or not a number");
  }
  if (std::any_of(problem.size_bytes.begin(), problem.size_bytes.end(),
                  [](int64_t size) { return size < 1 || size > int64_t{1} << 50; })) {
    return Invalid("a candidate's size is not between 1 byte and 1 PiB");
  }
  if (!problem.write_costs.empty() &&
      (problem.write_costs.size() != problem.size_bytes.size() ||
       !std::all_of(problem.write_costs.begin(), problem.write_costs.end(), IsCost))) {
    return Invalid("write_costs needs one for each candidate, none negative");
  }
  const int queries = static_cast<int>(problem.base_costs.size());
  const int combinations = static_cast<int>(problem.combinations.size());
  for (const auto& cost : problem.costs) {
    if (cost.query < 0 || cost.query >= queries || cost.combination < 0 ||
        cost.combination >= combinations || !IsCost(cost.cost)) {
      return Invalid(absl::StrCat("the cost of query ", cost.query, " with combination ",
                                  cost.combination, " names an unknown one or is not a number"));
    }
    if (problem.combinations[cost.combination].empty()) {
      return Invalid("a cost without any index is a base cost, not one of a combination");
    }
  }
  return CheckCombinations(problem);
}

// Whether a combination of fewer of these candidates is in `seen`.
bool HasPart(const std::vector<int>& members, const std::set<std::vector<int>>& seen) {
  const unsigned all = 1u << members.size();
  std::vector<int> part;
  for (unsigned mask = 0; mask < all; ++mask) {
    part.clear();
    for (size_t i = 0; i < members.size(); ++i) {
      if (mask & 1u << i) part.push_back(members[i]);
    }
    if (seen.contains(part)) return true;
  }
  return false;
}

// A way before it has a place in the table.
struct RawWay {
  double benefit;
  int combination;  // in the problem
};

// The useful ways of a query: those that no other makes needless, one with a part of the indexes
// and the same benefit or more.
std::vector<RawWay> UsefulWays(std::vector<RawWay> ways,
                               const std::vector<std::vector<int>>& combinations) {
  std::sort(ways.begin(), ways.end(), [&](const auto& a, const auto& b) {
    if (a.benefit != b.benefit) return a.benefit > b.benefit;
    const size_t a_count = combinations[a.combination].size();
    const size_t b_count = combinations[b.combination].size();
    return a_count != b_count ? a_count < b_count : a.combination < b.combination;
  });
  std::vector<RawWay> useful;
  std::set<std::vector<int>> seen;
  for (const auto& way : ways) {
    if (HasPart(combinations[way.combination], seen)) continue;
    seen.insert(combinations[way.combination]);
    useful.push_back(way);
  }
  return useful;
}

int Size(const auto& all) { return static_cast<int>(all.size()); }

}  // namespace

absl::StatusOr<SelectionTable> SelectionTable::Build(const SelectionProblem& problem,
                                                     int64_t budget_bytes) {
  if (absl::Status bad = Check(problem); !bad.ok()) return bad;
  SelectionTable table;
  table.budget_bytes = std::max<int64_t>(budget_bytes, 0);
  table.base_cost = std::accumulate(problem.base_costs.begin(), problem.base_costs.end(), 0.0);
  for (int i = 0; i < Size(problem.size_bytes); ++i) {
    table.candidates.push_back(
        {.id = i,
         .size_bytes = problem.size_bytes[i],
         .write_cost = problem.write_costs.empty() ? 0 : problem.write_costs[i]});
  }
  std::vector<std::vector<int>> sorted = problem.combinations;
  std::vector<bool> fits(sorted.size());
  for (size_t c = 0; c < sorted.size(); ++c) {
    std::sort(sorted[c].begin(), sorted[c].end());
    int64_t bytes = 0;
    for (int member : sorted[c]) bytes += problem.size_bytes[member];
    fits[c] = bytes <= table.budget_bytes;
    const int begin = Size(table.members);
    table.members.insert(table.members.end(), sorted[c].begin(), sorted[c].end());
    table.combinations.push_back(
        {.id = static_cast<int>(c), .members = {begin, Size(table.members)}});
  }
  std::vector<std::vector<RawWay>> raw(problem.base_costs.size());
  for (const auto& cost : problem.costs) {
    const double benefit = problem.base_costs[cost.query] - cost.cost;
    if (fits[cost.combination] && benefit > 0) {
      raw[cost.query].push_back({benefit, cost.combination});
    }
  }
  for (auto& ways : raw) {
    const int begin = Size(table.ways);
    for (const auto& way : UsefulWays(std::move(ways), sorted)) {
      table.ways.push_back({.benefit = way.benefit, .combination = way.combination});
    }
    table.queries.push_back({begin, Size(table.ways)});
  }
  return table.Without(std::vector<bool>(table.candidates.size(), true));
}

SelectionTable SelectionTable::Without(const std::vector<bool>& keep) const {
  SelectionTable out;
  out.budget_bytes = budget_bytes;
  out.base_cost = base_cost;
  std::vector<bool> used(combinations.size(), false);
  for (const auto& way : ways) used[way.combination] = true;
  std::vector<bool> needed(candidates.size(), false);
  for (int c = 0; c < combinations_count(); ++c) {
    for (int member : Members(c)) used[c] = used[c] && keep[member];
    if (!used[c]) continue;
    for (int member : Members(c)) needed[member] = true;
  }
  std::vector<int> candidate_place(candidates.size(), -1);
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!needed[i]) continue;
    candidate_place[i] = out.candidates_count();
    out.candidates.push_back({.id = candidates[i].id,
                              .size_bytes = candidates[i].size_bytes,
                              .write_cost = candidates[i].write_cost});
  }
  std::vector<int> combination_place(combinations.size(), -1);
  for (int c = 0; c < combinations_count(); ++c) {
    if (!used[c]) continue;
    combination_place[c] = out.combinations_count();
    const int begin = Size(out.members);
    for (int member : Members(c)) out.members.push_back(candidate_place[member]);
    out.combinations.push_back({.id = combinations[c].id, .members = {begin, Size(out.members)}});
  }
  for (int q = 0; q < queries_count(); ++q) {
    const int begin = Size(out.ways);
    for (const auto& way : Ways(q)) {
      const int place = combination_place[way.combination];
      if (place >= 0) out.ways.push_back({.benefit = way.benefit, .combination = place});
    }
    out.queries.push_back({begin, Size(out.ways)});
  }
  out.LinkCombinations();
  out.LinkParts();
  return out;
}

void SelectionTable::LinkCombinations() {
  std::vector<std::vector<int>> of(candidates.size());
  for (int c = 0; c < combinations_count(); ++c) {
    for (int member : Members(c)) of[member].push_back(c);
  }
  for (size_t i = 0; i < of.size(); ++i) {
    const int begin = Size(combinations_of);
    combinations_of.insert(combinations_of.end(), of[i].begin(), of[i].end());
    candidates[i].combinations = {begin, Size(combinations_of)};
  }
  std::vector<std::vector<Use>> used(combinations.size());
  for (int q = 0; q < queries_count(); ++q) {
    int rank = 0;
    for (const auto& way : Ways(q)) used[way.combination].push_back({q, rank++});
  }
  for (size_t c = 0; c < used.size(); ++c) {
    const int begin = Size(uses);
    uses.insert(uses.end(), used[c].begin(), used[c].end());
    combinations[c].uses = {begin, Size(uses)};
  }
}

void SelectionTable::LinkParts() {
  struct RawPart {
    int query;
    std::vector<Place> places;
    std::vector<int> slots;  // in way_parts, where its place is to be written
  };
  std::vector<std::vector<RawPart>> raw(candidates.size());
  for (int q = 0; q < queries_count(); ++q) {
    for (int w = queries[q].begin; w < queries[q].end; ++w) {
      const int combination = ways[w].combination;
      const int begin = Size(way_parts);
      for (int member : Members(combination)) {
        if (raw[member].empty() || raw[member].back().query != q)
          raw[member].push_back({q, {}, {}});
        raw[member].back().places.push_back({w - queries[q].begin, combination});
        raw[member].back().slots.push_back(Size(way_parts));
        way_parts.push_back(-1);
      }
      ways[w].parts = {begin, Size(way_parts)};
    }
  }
  for (int i = 0; i < candidates_count(); ++i) {
    const int begin = Size(parts);
    for (const auto& part : raw[i]) {
      for (int slot : part.slots) way_parts[slot] = Size(parts);
      const int first = Size(places);
      places.insert(places.end(), part.places.begin(), part.places.end());
      parts.push_back({part.query, i, {first, Size(places)}});
    }
    candidates[i].parts = {begin, Size(parts)};
  }
}

}  // namespace slipstream::database_optimizer
