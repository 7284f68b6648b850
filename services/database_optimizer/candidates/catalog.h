// What the advisor knows of a database's tables, columns and indexes: plain values, read by
// ../whatif/catalog_reader.h, made by hand in tests.
//
// Thread safety: plain values; a Catalog is not changed once it is read.
#ifndef SERVICES_DATABASE_OPTIMIZER_CANDIDATES_CATALOG_H_
#define SERVICES_DATABASE_OPTIMIZER_CANDIDATES_CATALOG_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace slipstream::database_optimizer {

struct ColumnInfo {
  std::string name;
  std::string type;             // as format_type gives it: "numeric(15,2)"
  char type_category = 'U';     // pg_type.typcategory: N numeric, S string, D date, B boolean, ...
  bool orderable = true;        // has a default B-tree operator class
  int32_t average_bytes = 8;    // pg_stats.avg_width
  double distinct_count = 0;    // pg_stats.n_distinct: below 0 a share of the rows, 0 unknown
  double null_fraction = 0;     // 0 to 1
  bool has_statistics = false;  // whether pg_stats has a row
  // As text. The frequencies are shares of all rows; the bounds cut the rest into equal parts.
  std::vector<std::string> common_values;
  std::vector<double> common_frequencies;
  std::vector<std::string> histogram_bounds;
};

struct IndexInfo {
  int64_t oid = 0;
  std::string schema, name;
  std::string method;             // btree, gin, ...
  std::string definition;         // pg_get_indexdef
  std::vector<std::string> keys;  // columns in order; an expression is ""
  std::vector<std::string> include;
  std::string predicate;  // empty: of all rows
  std::string options;    // opclasses, collations and directions as the catalog has them
  bool valid = true;
  bool unique = false;
  bool of_constraint = false;  // primary key, unique, exclusion, or a foreign key leans on it
  bool used_by_replica_identity = false;
  int64_t size_bytes = 0;
  int64_t scans_count = 0;  // since the statistics were reset
};

struct TableInfo {
  int64_t oid = 0;
  std::string schema, name;
  double rows_count = 0;
  int64_t size_bytes = 0;  // heap alone
  int64_t inserts_count = 0, updates_count = 0, hot_updates_count = 0, deletes_count = 0;
  int64_t changes_since_analyze_count = 0;
  bool ever_analyzed = false;
  bool partitioned = false;  // CREATE INDEX CONCURRENTLY does not work on it
  std::vector<ColumnInfo> columns;
  std::vector<IndexInfo> indexes;

  const ColumnInfo* FindColumn(absl::string_view column) const {
    for (const auto& info : columns) {
      if (info.name == column) return &info;
    }
    return nullptr;
  }
};

class Catalog {
 public:
  void Add(TableInfo table) {
    by_name_[table.name].push_back(static_cast<int>(tables_.size()));
    tables_.push_back(std::move(table));
  }
  const std::vector<TableInfo>& tables() const { return tables_; }
  TableInfo& table(int place) { return tables_[place]; }
  const TableInfo& table(int place) const { return tables_[place]; }

  // The place of a table, -1 when there is none. Without a schema: the one in `public`, else the
  // only one of that name.
  int Find(absl::string_view schema, const std::string& name) const {
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) return -1;
    for (const int place : found->second) {
      if (tables_[place].schema == (schema.empty() ? "public" : schema)) return place;
    }
    return schema.empty() && found->second.size() == 1 ? found->second[0] : -1;
  }

 private:
  std::vector<TableInfo> tables_;
  std::map<std::string, std::vector<int>, std::less<>> by_name_;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_CANDIDATES_CATALOG_H_
