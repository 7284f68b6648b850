#include "services/database_optimizer/whatif/cost_matrix.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/database_optimizer/candidates/sql_text.h"
#include "services/database_optimizer/whatif/index_size.h"

namespace slipstream::database_optimizer {

namespace {

// Below that a cost is the same: rounding, or a plan that only looks at the index.
constexpr double kLeastGain = 0.001;
// One entry of a B-tree whose pages are mostly in memory. Measured on PostgreSQL 15: 3 to 6 us.
constexpr double kIndexEntryMs = 0.005;
// Of a statement's candidates, those that are tried together: the best of each kind.
constexpr size_t kMaxTogetherCount = 40;
constexpr size_t kMaxCombinedCount = 5;

// The candidates that the plans use.
std::vector<int> UsedBy(const std::vector<Plan>& plans,
                        const std::vector<std::pair<std::string, int>>& marks) {
  std::set<int> used;
  for (const auto& plan : plans) {
    for (const auto& name : plan.indexes) {
      for (const auto& [mark, place] : marks) {
        if (absl::StrContains(name, mark)) used.insert(place);
      }
    }
  }
  return {used.begin(), used.end()};
}

}  // namespace

CostMatrixBuilder::CostMatrixBuilder(WhatIf& what_if, const Catalog& catalog,
                                     const std::vector<ExaminedStatement>& statements,
                                     std::function<bool()> time_over)
    : what_if_(what_if),
      catalog_(catalog),
      statements_(statements),
      time_over_(std::move(time_over)),
      singles_(statements.size()),
      tried_(statements.size()) {
  std::vector<std::pair<double, double>> cost_and_ms;
  for (const auto& statement : statements_) {
    cost_and_ms.emplace_back(statement.cost * static_cast<double>(statement.source.calls_count),
                             statement.source.total_ms);
  }
  unit_ms_ = MiddleUnitMs(std::move(cost_and_ms));
}

bool CostMatrixBuilder::Concerns(const IndexDefinition& candidate,
                                 const StatementShape& shape) const {
  return std::any_of(shape.relations.begin(), shape.relations.end(), [&](const Relation& relation) {
    const TableInfo& table = catalog_.table(relation.table);
    return table.name == candidate.table && table.schema == candidate.schema &&
           (relation.every_column || relation.columns.count(candidate.keys[0].column) > 0);
  });
}

CostMatrixBuilder::Estimate CostMatrixBuilder::EstimateOf(const ExaminedStatement& statement,
                                                          const std::vector<Plan>& plans) const {
  const auto count = static_cast<double>(plans.size());
  Estimate out;
  for (size_t i = 0; i < plans.size(); ++i) {
    out.cost += plans[i].cost / count;
    // Which of the samples the measured runs were like is not known: each has its part of the time
    // by its cost.
    const Plan& before = statement.plans[i];
    const double time_ms =
        statement.cost > 0 ? statement.source.total_ms * before.cost / (statement.cost * count) : 0;
    const double unit_ms = unit_ms_ * static_cast<double>(statement.source.calls_count) / count;
    out.total_ms +=
        EstimateMs({before.cost, time_ms, &before.parts}, plans[i].cost, plans[i].parts, unit_ms);
  }
  return out;
}

void CostMatrixBuilder::Add(size_t statement, std::vector<int> members, const Estimate& estimate) {
  out_.problem.costs.push_back({static_cast<int>(statement),
                                static_cast<int>(out_.problem.combinations.size()),
                                estimate.total_ms});
  out_.planner_costs.push_back(estimate.cost);
  out_.problem.combinations.push_back(std::move(members));
}

absl::Status CostMatrixBuilder::Build(const std::vector<IndexDefinition>& candidates) {
  for (const auto& statement : statements_) {
    out_.problem.base_costs.push_back(statement.source.total_ms);
  }
  for (const auto& candidate : candidates) {
    if (time_over_()) {
      out_.cut_short = true;
      break;
    }
    if (absl::Status status = TryAlone(candidate); !status.ok()) return status;
  }
  for (size_t i = 0; i < statements_.size() && !time_over_(); ++i) {
    if (absl::Status status = TryTogether(i); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Plan>> CostMatrixBuilder::PlansThatUse(const PlannedStatement& statement,
                                                                  const std::string& mark) {
  std::vector<std::optional<Plan>> known(std::max<size_t>(1, statement.samples.size()));
  const auto explain = [&](size_t sample) -> absl::Status {
    if (known[sample]) return absl::OkStatus();
    auto plan = what_if_.ExplainSample(statement, sample);
    if (plan.ok()) known[sample] = *std::move(plan);
    return plan.status();
  };
  // The first and the last sample show most useless candidates.
  bool used = false;
  for (const size_t sample : {size_t{0}, known.size() - 1}) {
    if (absl::Status status = explain(sample); !status.ok()) return status;
    const auto& indexes = known[sample]->indexes;
    used = std::any_of(indexes.begin(), indexes.end(),
                       [&](const auto& name) { return absl::StrContains(name, mark); });
    if (used) break;
  }
  std::vector<Plan> out;
  if (!used) return out;
  for (size_t sample = 0; sample < known.size(); ++sample) {
    if (absl::Status status = explain(sample); !status.ok()) return status;
    out.push_back(*std::move(known[sample]));
  }
  return out;
}

absl::Status CostMatrixBuilder::TryAlone(const IndexDefinition& candidate) {
  if (absl::Status status = what_if_.Reset(); !status.ok()) return status;
  auto index = what_if_.Add(candidate);
  // Refused: a column that cannot be indexed after all. Everything else is an error.
  if (absl::IsFailedPrecondition(index.status())) return absl::OkStatus();
  if (!index.ok()) return index.status();
  const std::string mark = WhatIf::Mark(index->oid);
  std::vector<std::pair<size_t, Estimate>> helped;
  for (size_t i = 0; i < statements_.size(); ++i) {
    const ExaminedStatement& statement = statements_[i];
    if (!Concerns(candidate, statement.shape)) continue;
    auto plans = PlansThatUse(statement.planned, mark);
    if (!plans.ok()) return plans.status();
    if (plans->empty()) continue;
    const Estimate estimate = EstimateOf(statement, *plans);
    if (estimate.cost < statement.cost * (1 - kLeastGain)) helped.emplace_back(i, estimate);
  }
  if (helped.empty()) return absl::OkStatus();
  const int table = catalog_.Find(candidate.schema, candidate.table);
  auto rows = RowsOf(candidate, catalog_.table(table));
  if (!rows.ok()) return rows.status();
  const int place = static_cast<int>(out_.candidates.size());
  out_.candidates.push_back(candidate);
  out_.problem.size_bytes.push_back(SizeOnDisk(candidate, catalog_.table(table), *rows));
  out_.problem.write_costs.push_back(WriteCostMs(candidate, catalog_, statements_));
  for (const auto& [statement, estimate] : helped) {
    singles_[statement].push_back({estimate, place});
    Add(statement, {place}, estimate);
  }
  return absl::OkStatus();
}

absl::StatusOr<double> CostMatrixBuilder::RowsOf(const IndexDefinition& candidate,
                                                 const TableInfo& table) {
  if (candidate.predicate.empty()) return table.rows_count;
  const std::string name = QuoteName(table.schema, table.name);
  const auto [known, is_new] = condition_rows_.try_emplace({name, candidate.predicate}, 0);
  if (is_new) {
    auto rows = what_if_.CountRows(name, candidate.predicate);
    if (!rows.ok()) return rows.status();
    known->second = *rows;
  }
  return known->second;
}

std::vector<int> CostMatrixBuilder::BestOfEachTable(size_t statement, bool by_size) const {
  const double before_ms = statements_[statement].source.total_ms;
  std::map<std::string, std::pair<double, int>> best;  // by table: worth, candidate
  for (const Single& single : singles_[statement]) {
    const IndexDefinition& index = out_.candidates[single.candidate];
    const double gain = before_ms - single.estimate.total_ms;
    const auto bytes = static_cast<double>(out_.problem.size_bytes[single.candidate]);
    const std::pair worth(by_size ? gain / bytes : gain, single.candidate);
    const auto [place, is_new] =
        best.try_emplace(absl::StrCat(index.schema, ".", index.table), worth);
    if (!is_new && worth.first > place->second.first) place->second = worth;
  }
  std::vector<int> out;
  for (const auto& [table, one] : best) out.push_back(one.second);
  std::sort(out.begin(), out.end());
  return out;
}

absl::StatusOr<std::vector<std::pair<std::string, int>>> CostMatrixBuilder::AddAll(
    const std::vector<int>& chosen) {
  if (absl::Status status = what_if_.Reset(); !status.ok()) return status;
  std::vector<std::pair<std::string, int>> marks;
  for (const int place : chosen) {
    auto index = what_if_.Add(out_.candidates[place]);
    if (!index.ok()) return index.status();
    marks.emplace_back(WhatIf::Mark(index->oid), place);
  }
  return marks;
}

// With all that help it alone, the planner itself says which it would use together.
absl::Status CostMatrixBuilder::TryTogether(size_t at) {
  auto& singles = singles_[at];
  if (singles.size() < 2) return absl::OkStatus();
  std::sort(singles.begin(), singles.end(),
            [](const Single& a, const Single& b) { return a.Order() < b.Order(); });
  std::vector<int> places;
  for (size_t i = 0; i < std::min(singles.size(), kMaxTogetherCount); ++i) {
    places.push_back(singles[i].candidate);
  }
  auto marks = AddAll(places);
  if (!marks.ok()) return marks.status();
  auto plans = what_if_.Explain(statements_[at].planned);
  if (!plans.ok()) return plans.status();
  std::vector<int> together = UsedBy(*plans, *marks);
  for (const int place : BestOfEachTable(at, false)) {
    if (std::find(together.begin(), together.end(), place) == together.end()) {
      together.push_back(place);
    }
  }
  if (absl::Status status = TryPartsOf(at, together); !status.ok()) return status;
  // A budget often has room for the small ones alone.
  return TryPartsOf(at, BestOfEachTable(at, true));
}

absl::Status CostMatrixBuilder::TryPartsOf(size_t at, const std::vector<int>& together) {
  std::vector<int> all = together;
  if (all.size() > kMaxCombinedCount) all.resize(kMaxCombinedCount);
  std::sort(all.begin(), all.end());
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t j = i + 1; j < all.size(); ++j) {
      if (absl::Status status = TrySet(at, {all[i], all[j]}); !status.ok()) return status;
    }
  }
  if (all.size() > 3) {
    for (size_t skip = 0; skip < all.size(); ++skip) {
      std::vector<int> some = all;
      some.erase(some.begin() + static_cast<std::ptrdiff_t>(skip));
      if (absl::Status status = TrySet(at, some); !status.ok()) return status;
    }
  }
  return all.size() > 2 ? TrySet(at, all) : absl::OkStatus();
}

absl::Status CostMatrixBuilder::TrySet(size_t at, const std::vector<int>& chosen) {
  if (!tried_[at].insert(chosen).second) return absl::OkStatus();
  auto marks = AddAll(chosen);
  if (!marks.ok()) return marks.status();
  auto plans = what_if_.Explain(statements_[at].planned);
  if (!plans.ok()) return plans.status();
  const Estimate estimate = EstimateOf(statements_[at], *plans);
  double best_alone = statements_[at].cost;
  for (const Single& single : singles_[at]) {
    if (std::find(chosen.begin(), chosen.end(), single.candidate) != chosen.end()) {
      best_alone = std::min(best_alone, single.estimate.cost);
    }
  }
  if (estimate.cost < best_alone * (1 - kLeastGain)) Add(at, chosen, estimate);
  return absl::OkStatus();
}

absl::StatusOr<bool> CostMatrixBuilder::TryChosen(const std::vector<int>& chosen) {
  const size_t known_count = out_.problem.costs.size();
  for (size_t at = 0; at < statements_.size() && !time_over_(); ++at) {
    std::vector<int> places;
    for (const Single& single : singles_[at]) {
      if (std::find(chosen.begin(), chosen.end(), single.candidate) != chosen.end()) {
        places.push_back(single.candidate);
      }
    }
    if (places.size() < 2) continue;
    auto marks = AddAll(places);
    if (!marks.ok()) return marks.status();
    auto plans = what_if_.Explain(statements_[at].planned);
    if (!plans.ok()) return plans.status();
    const std::vector<int> used = UsedBy(*plans, *marks);
    if (used.size() < 2) continue;
    if (absl::Status status = TrySet(at, used); !status.ok()) return status;
  }
  return out_.problem.costs.size() > known_count;
}

double WriteCostMs(const IndexDefinition& index, const Catalog& catalog,
                   const std::vector<ExaminedStatement>& statements) {
  const int place = catalog.Find(index.schema, index.table);
  if (place < 0) return 0;
  const TableInfo& table = catalog.table(place);
  // Without any update so far, half are taken to be HOT.
  const double hot_share = table.updates_count > 0 ? static_cast<double>(table.hot_updates_count) /
                                                         static_cast<double>(table.updates_count)
                                                   : 0.5;
  std::set<std::string> columns(index.include.begin(), index.include.end());
  for (const auto& key : index.keys) columns.insert(key.column);
  double entries = 0;
  for (const auto& statement : statements) {
    if (statement.shape.written_table != place) continue;
    const auto rows = static_cast<double>(statement.source.rows_count);
    if (statement.shape.kind == StatementKind::kInsert) entries += rows;
    if (statement.shape.kind != StatementKind::kUpdate) continue;
    bool sets = false;
    for (const auto& relation : statement.shape.relations) {
      for (const auto& column : relation.set_columns) {
        sets |= columns.count(column) > 0 || absl::StrContains(index.predicate, QuoteName(column));
      }
    }
    // Without HOT a new row version has an entry in every index of the table.
    const double others = static_cast<double>(table.indexes.size());
    entries += rows * (sets ? hot_share * (others + 1) + (1 - hot_share) : 1 - hot_share);
  }
  return entries * kIndexEntryMs;
}

}  // namespace slipstream::database_optimizer
