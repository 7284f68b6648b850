#include "services/database_optimizer/whatif/cost_matrix.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/database_optimizer/candidates/sql_text.h"

namespace slipstream::database_optimizer {

namespace {

// Below that a cost is the same: rounding, or a plan that only looks at the index.
constexpr double kLeastGain = 0.001;
// One entry of a B-tree whose pages are mostly in memory. Measured on PostgreSQL 15: 3 to 6 us.
constexpr double kIndexEntryMs = 0.005;
// Of a statement's candidates, those that are tried together: the best of each kind.
constexpr size_t kMaxTogetherCount = 40;
constexpr size_t kMaxCombinedCount = 5;

}  // namespace

CostMatrixBuilder::CostMatrixBuilder(WhatIf& what_if, const Catalog& catalog,
                                     const std::vector<ExaminedStatement>& statements,
                                     std::function<bool()> time_over)
    : what_if_(what_if),
      catalog_(catalog),
      statements_(statements),
      time_over_(std::move(time_over)),
      singles_(statements.size()) {}

bool CostMatrixBuilder::Concerns(const IndexDefinition& candidate,
                                 const StatementShape& shape) const {
  return std::any_of(shape.relations.begin(), shape.relations.end(), [&](const Relation& relation) {
    const TableInfo& table = catalog_.table(relation.table);
    return table.name == candidate.table && table.schema == candidate.schema &&
           (relation.every_column || relation.columns.count(candidate.keys[0].column) > 0);
  });
}

double CostMatrixBuilder::ScaledCost(size_t statement, double cost) const {
  const ExaminedStatement& it = statements_[statement];
  return it.cost > 0 ? it.source.total_ms * cost / it.cost : it.source.total_ms;
}

absl::StatusOr<double> CostMatrixBuilder::MeanCost(const ExaminedStatement& statement) {
  auto plans = what_if_.Explain(statement.planned);
  if (!plans.ok()) return plans.status();
  double sum = 0;
  for (const auto& plan : *plans) sum += plan.cost;
  return sum / static_cast<double>(plans->size());
}

absl::StatusOr<CostMatrix> CostMatrixBuilder::Build(
    const std::vector<IndexDefinition>& candidates) {
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
  out_.explains_count = what_if_.explains_count();
  return std::move(out_);
}

absl::Status CostMatrixBuilder::TryAlone(const IndexDefinition& candidate) {
  if (absl::Status status = what_if_.Reset(); !status.ok()) return status;
  auto index = what_if_.Add(candidate);
  // Refused: a column that cannot be indexed after all. Everything else is an error.
  if (absl::IsFailedPrecondition(index.status())) return absl::OkStatus();
  if (!index.ok()) return index.status();
  const std::string mark = WhatIf::Mark(index->oid);
  std::vector<std::pair<size_t, double>> helped;
  for (size_t i = 0; i < statements_.size(); ++i) {
    const ExaminedStatement& statement = statements_[i];
    if (!Concerns(candidate, statement.shape)) continue;
    // One sample shows most useless candidates.
    auto first = what_if_.ExplainSample(statement.planned, 0);
    if (!first.ok()) return first.status();
    const bool used = std::any_of(first->indexes.begin(), first->indexes.end(),
                                  [&](const auto& name) { return absl::StrContains(name, mark); });
    if (!used && statement.planned.samples.size() > 1) {
      auto last = what_if_.ExplainSample(statement.planned, statement.planned.samples.size() - 1);
      if (!last.ok()) return last.status();
      if (std::none_of(last->indexes.begin(), last->indexes.end(),
                       [&](const auto& name) { return absl::StrContains(name, mark); })) {
        continue;
      }
    } else if (!used) {
      continue;
    }
    auto cost = MeanCost(statement);
    if (!cost.ok()) return cost.status();
    if (*cost < statement.cost * (1 - kLeastGain)) helped.emplace_back(i, *cost);
  }
  if (helped.empty()) return absl::OkStatus();
  const int place = static_cast<int>(out_.candidates.size());
  out_.candidates.push_back(candidate);
  out_.problem.size_bytes.push_back(SizeOnDisk(candidate, catalog_, index->size_bytes));
  out_.problem.write_costs.push_back(WriteCostMs(candidate, catalog_, statements_));
  const int combination = static_cast<int>(out_.problem.combinations.size());
  out_.problem.combinations.push_back({place});
  for (const auto& [statement, cost] : helped) {
    singles_[statement].emplace_back(cost, place);
    out_.problem.costs.push_back(
        {static_cast<int>(statement), combination, ScaledCost(statement, cost)});
  }
  return absl::OkStatus();
}

// With all that help it alone, the planner itself says which it would use together.
absl::Status CostMatrixBuilder::TryTogether(size_t at) {
  auto& singles = singles_[at];
  if (singles.size() < 2) return absl::OkStatus();
  std::sort(singles.begin(), singles.end());
  if (absl::Status status = what_if_.Reset(); !status.ok()) return status;
  std::vector<std::pair<std::string, int>> marks;
  for (size_t i = 0; i < std::min(singles.size(), kMaxTogetherCount); ++i) {
    auto index = what_if_.Add(out_.candidates[singles[i].second]);
    if (!index.ok()) return index.status();
    marks.emplace_back(WhatIf::Mark(index->oid), singles[i].second);
  }
  auto plans = what_if_.Explain(statements_[at].planned);
  if (!plans.ok()) return plans.status();
  std::set<int> used;
  for (const auto& plan : *plans) {
    for (const auto& name : plan.indexes) {
      for (const auto& [mark, place] : marks) {
        if (absl::StrContains(name, mark)) used.insert(place);
      }
    }
  }
  // The best ones alone, too: of another table each.
  std::set<std::string> tables;
  for (const auto& single : singles) {
    if (used.size() >= kMaxCombinedCount) break;
    const IndexDefinition& candidate = out_.candidates[single.second];
    if (tables.insert(absl::StrCat(candidate.schema, ".", candidate.table)).second) {
      used.insert(single.second);
    }
  }
  std::vector<int> all(used.begin(), used.end());
  if (all.size() > kMaxCombinedCount) all.resize(kMaxCombinedCount);
  if (all.size() < 2) return absl::OkStatus();
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
  if (absl::Status status = what_if_.Reset(); !status.ok()) return status;
  for (const int place : chosen) {
    auto index = what_if_.Add(out_.candidates[place]);
    if (!index.ok()) return index.status();
  }
  auto cost = MeanCost(statements_[at]);
  if (!cost.ok()) return cost.status();
  double best_alone = statements_[at].cost;
  for (const auto& [alone, place] : singles_[at]) {
    if (std::find(chosen.begin(), chosen.end(), place) != chosen.end()) {
      best_alone = std::min(best_alone, alone);
    }
  }
  if (*cost >= best_alone * (1 - kLeastGain)) return absl::OkStatus();
  out_.problem.costs.push_back({static_cast<int>(at),
                                static_cast<int>(out_.problem.combinations.size()),
                                ScaledCost(at, *cost)});
  out_.problem.combinations.push_back(chosen);
  return absl::OkStatus();
}

int64_t SizeOnDisk(const IndexDefinition& index, const Catalog& catalog, int64_t estimate) {
  constexpr int64_t kPageBytes = 8192;
  constexpr double kEntryBytes = 20;  // its header, its line pointer and the padding of its key
  constexpr double kRowBytes = 6;     // a row's address
  constexpr double kFill = 0.9;
  estimate = std::max(estimate, kPageBytes);
  const int place = catalog.Find(index.schema, index.table);
  // Types of which two equal values may look different are never kept once, nor is what carries
  // other columns.
  if (place < 0 || !index.include.empty() || !index.predicate.empty()) return estimate;
  const TableInfo& table = catalog.table(place);
  double distinct = 1;
  double key_bytes = 0;
  for (const auto& key : index.keys) {
    const ColumnInfo* column = table.FindColumn(key.column);
    if (column == nullptr || column->distinct_count == 0) return estimate;
    for (const char* type : {"numeric", "real", "double", "interval", "json", "record"}) {
      if (absl::StartsWith(column->type, type)) return estimate;
    }
    distinct *= column->distinct_count > 0 ? column->distinct_count
                                           : -column->distinct_count * table.rows_count;
    key_bytes += column->average_bytes;
  }
  distinct = std::min(std::max(distinct, 1.0), table.rows_count);
  const double bytes =
      (distinct * (kEntryBytes + key_bytes) + table.rows_count * kRowBytes) / kFill;
  return std::clamp(static_cast<int64_t>(bytes), kPageBytes, estimate);
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
