#include "services/database_optimizer/candidates/candidate_builder.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/database_optimizer/candidates/sql_text.h"

namespace slipstream::database_optimizer {

namespace {

using Kind = Comparison::Kind;
using Keys = std::vector<IndexKey>;

// Of so many equal columns every order is a candidate; of more only each first one.
constexpr size_t kMaxPermutedCount = 3;
// An index row is kept below a third of a page; wider ones are refused by PostgreSQL itself.
constexpr int kMaxRowBytes = 600;

// The candidates of one relation of one statement.
class RelationCandidates {
 public:
  RelationCandidates(const StatementShape& shape, int relation, const TableInfo& table,
                     const CandidateOptions& options)
      : shape_(shape), relation_(relation), table_(table), options_(options) {
    Collect();
  }

  std::vector<IndexDefinition> Build(bool repeated) {
    for (const auto& column : compared_) AddKeys({{column}});
    for (const auto& column : joined_) AddKeys({{column}});
    const auto orders = EqualOrders();
    for (const auto& order : orders) {
      AddKeys(order);
      for (const auto& column : ranges_) AddKeys(Joined(order, {{column}}));
      for (const auto& column : joined_) {
        AddKeys(Joined(order, {{column}}));
        AddKeys(Joined({{column}}, order));
      }
    }
    for (const auto& join : joined_) {
      for (const auto& range : ranges_) {
        AddKeys({{join}, {range}});
        AddKeys({{range}, {join}});
      }
      for (const auto& other : joined_) AddKeys({{join}, {other}});
    }
    AddSorted(orders);
    if (repeated) {
      AddPartial();
      AddCovering();
    }
    if (out_.size() > static_cast<size_t>(options_.max_per_relation_count)) {
      out_.resize(options_.max_per_relation_count);
    }
    return std::move(out_);
  }

 private:
  void Collect() {
    for (const auto& comparison : shape_.comparisons) {
      if (comparison.column.relation != relation_) continue;
      const std::string& column = comparison.column.column;
      if (!Usable(column)) continue;
      const bool point = comparison.kind == Kind::kEqual || comparison.kind == Kind::kIsNull ||
                         comparison.kind == Kind::kIsTrue || comparison.kind == Kind::kIsFalse;
      if (comparison.kind == Kind::kPattern || comparison.kind == Kind::kIsNotNull) {
        // No order of the column helps; as a condition of a partial index it may.
      } else {
        Add(compared_, column);
        if (!comparison.alternative) Add(point ? equal_ : ranges_, column);
      }
      if (!comparison.alternative) AddCondition(comparison);
    }
    for (const auto& [a, b] : shape_.joins) {
      for (const auto& side : {a, b}) {
        if (side.relation == relation_ && Usable(side.column)) Add(joined_, side.column);
      }
    }
    for (auto* list : {&ranges_, &joined_}) {
      list->erase(std::remove_if(list->begin(), list->end(),
                                 [&](const std::string& column) { return Has(equal_, column); }),
                  list->end());
    }
  }

  void AddCondition(const Comparison& comparison) {
    const std::string name = QuoteName(comparison.column.column);
    std::string sql;
    switch (comparison.kind) {
      case Kind::kIsNull:
        sql = absl::StrCat(name, " IS NULL");
        break;
      case Kind::kIsNotNull:
        sql = absl::StrCat(name, " IS NOT NULL");
        break;
      case Kind::kIsTrue:
        sql = name;
        break;
      case Kind::kIsFalse:
        sql = absl::StrCat("NOT ", name);
        break;
      case Kind::kEqual:
        if (!comparison.constant.empty()) sql = absl::StrCat(name, " = ", comparison.constant);
        break;
      default:
        break;
    }
    if (!sql.empty()) conditions_.emplace_back(comparison.column.column, std::move(sql));
  }

  static bool Has(const std::vector<std::string>& list, const std::string& column) {
    return std::find(list.begin(), list.end(), column) != list.end();
  }
  static void Add(std::vector<std::string>& list, const std::string& column) {
    if (!Has(list, column)) list.push_back(column);
  }
  bool Usable(const std::string& column) const {
    const ColumnInfo* info = table_.FindColumn(column);
    return info != nullptr && info->orderable && info->average_bytes <= kMaxRowBytes;
  }
  // Rows that a value of the column leaves, as a share.
  double ShareOf(const std::string& column) const {
    const ColumnInfo* info = table_.FindColumn(column);
    if (info == nullptr || info->distinct_count == 0) return 0.1;
    const double count =
        info->distinct_count > 0 ? info->distinct_count : -info->distinct_count * table_.rows_count;
    return 1 / std::max(1.0, count);
  }

  static Keys Joined(Keys left, const Keys& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
  }

  // Orders of the equal columns: all of few; of many each first one, then the most selective.
  std::vector<Keys> EqualOrders() const {
    std::vector<std::string> columns = equal_;
    std::sort(columns.begin(), columns.end(), [&](const auto& a, const auto& b) {
      return std::pair(ShareOf(a), a) < std::pair(ShareOf(b), b);
    });
    std::vector<Keys> out;
    if (columns.empty()) return out;
    if (columns.size() <= kMaxPermutedCount) {
      std::vector<size_t> order(columns.size());
      for (size_t i = 0; i < order.size(); ++i) order[i] = i;
      do {
        Keys keys;
        for (const size_t i : order) keys.push_back({columns[i]});
        out.push_back(std::move(keys));
      } while (std::next_permutation(order.begin(), order.end()));
      return out;
    }
    for (size_t first = 0; first < columns.size(); ++first) {
      Keys keys = {{columns[first]}};
      for (size_t i = 0; i < columns.size(); ++i) {
        if (i != first) keys.push_back({columns[i]});
      }
      out.push_back(std::move(keys));
    }
    return out;
  }

  // An order that spares a sort, by itself and behind what is equal.
  void AddSorted(const std::vector<Keys>& orders) {
    std::vector<Keys> lists;
    for (const auto& sort : shape_.sorts) {
      if (sort[0].column.relation != relation_) continue;
      Keys keys;
      for (const auto& item : sort) {
        // Read backwards an index sorts the other way, so the first column is always ascending.
        keys.push_back({item.column.column, item.descending != sort[0].descending});
      }
      lists.push_back(std::move(keys));
    }
    for (const auto& group : shape_.groups) {
      if (group[0].relation != relation_) continue;
      Keys keys;
      for (const auto& column : group) keys.push_back({column.column});
      lists.push_back(std::move(keys));
    }
    for (const auto& keys : lists) {
      AddKeys(keys);
      for (const auto& order : orders) AddKeys(Joined(order, keys));
      for (const auto& column : ranges_) AddKeys(Joined({{column}}, keys));
    }
  }

  void AddKeys(Keys keys) {
    Keys kept;
    for (auto& key : keys) {
      const bool twice = std::any_of(kept.begin(), kept.end(), [&](const IndexKey& other) {
        return other.column == key.column;
      });
      if (twice) continue;
      if (!Usable(key.column)) break;
      kept.push_back(std::move(key));
      if (static_cast<int>(kept.size()) == options_.max_columns_count) break;
    }
    if (!kept.empty()) Offer({table_.schema, table_.name, std::move(kept), {}, ""});
  }

  void Offer(IndexDefinition definition) {
    if (std::find(out_.begin(), out_.end(), definition) == out_.end()) {
      out_.push_back(std::move(definition));
    }
  }

  // The same keys without the columns of the condition, on the rows that meet it.
  void AddPartial() {
    if (conditions_.empty()) return;
    const std::vector<IndexDefinition> plain = out_;
    const std::string all =
        absl::StrJoin(conditions_, " AND ",
                      [](std::string* out, const auto& c) { absl::StrAppend(out, c.second); });
    for (const auto& definition : plain) {
      IndexDefinition partial = definition;
      partial.predicate = all;
      std::erase_if(partial.keys, [&](const IndexKey& key) {
        return std::any_of(conditions_.begin(), conditions_.end(),
                           [&](const auto& condition) { return condition.first == key.column; });
      });
      if (!partial.keys.empty()) Offer(std::move(partial));
    }
  }

  void AddCovering() {
    const Relation& relation = shape_.relations[relation_];
    if (relation.every_column || shape_.kind != StatementKind::kSelect) return;
    const std::vector<IndexDefinition> plain = out_;
    for (const auto& definition : plain) {
      IndexDefinition covering = definition;
      int row_bytes = 0;
      for (const auto& column : relation.columns) {
        const ColumnInfo* info = table_.FindColumn(column);
        row_bytes += info == nullptr ? 0 : info->average_bytes;
        const bool there = std::any_of(definition.keys.begin(), definition.keys.end(),
                                       [&](const IndexKey& key) { return key.column == column; });
        if (!there) covering.include.push_back(column);
      }
      const bool fits =
          covering.include.size() <= static_cast<size_t>(options_.max_include_columns_count) &&
          row_bytes <= kMaxRowBytes;
      if (fits && !covering.include.empty()) Offer(std::move(covering));
    }
  }

  const StatementShape& shape_;
  const int relation_;
  const TableInfo& table_;
  const CandidateOptions& options_;
  std::vector<std::string> compared_;  // by any comparison that an index serves
  std::vector<std::string> equal_, ranges_, joined_;
  std::vector<std::pair<std::string, std::string>> conditions_;  // column, SQL
  std::vector<IndexDefinition> out_;
};

bool Served(const IndexDefinition& definition, const TableInfo& table) {
  return std::any_of(table.indexes.begin(), table.indexes.end(),
                     [&](const IndexInfo& there) { return IsServedBy(definition, there); });
}

}  // namespace

std::vector<IndexDefinition> BuildCandidates(const std::vector<CountedStatement>& statements,
                                             const Catalog& catalog,
                                             const CandidateOptions& options) {
  std::vector<IndexDefinition> out;
  std::set<IndexDefinition> known;
  for (const auto& statement : statements) {
    const StatementShape& shape = *statement.shape;
    const bool repeated = statement.calls_count >= options.repeated_calls_count;
    for (int relation = 0; relation < static_cast<int>(shape.relations.size()); ++relation) {
      const TableInfo& table = catalog.table(shape.relations[relation].table);
      if (table.partitioned) continue;
      RelationCandidates candidates(shape, relation, table, options);
      for (auto& definition : candidates.Build(repeated)) {
        if (static_cast<int>(out.size()) >= options.max_count) return out;
        if (Served(definition, table) || !known.insert(definition).second) continue;
        out.push_back(std::move(definition));
      }
    }
  }
  return out;
}

}  // namespace slipstream::database_optimizer
