#include "services/database_optimizer/whatif/catalog_reader.h"

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/database_optimizer/whatif/row_reader.h"

namespace slipstream::database_optimizer {

namespace {

using nlohmann::json;
using postgres::Row;

constexpr char kTablesSql[] = R"(
SELECT c.oid, n.nspname, c.relname, greatest(c.reltuples, 0), c.relpages::bigint * 8192,
       coalesce(s.n_tup_ins, 0), coalesce(s.n_tup_upd, 0), coalesce(s.n_tup_hot_upd, 0),
       coalesce(s.n_tup_del, 0), coalesce(s.n_mod_since_analyze, 0),
       c.reltuples >= 0 AND (s.last_analyze IS NOT NULL OR s.last_autoanalyze IS NOT NULL),
       c.relkind = 'p'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', $1) AND n.nspname !~ '^pg_'
ORDER BY c.relpages DESC, c.oid LIMIT $2)";

constexpr char kColumnsSql[] = R"(
SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), t.typcategory,
       t.typcategory IN ('N', 'S', 'D', 'T', 'B', 'E', 'I') OR EXISTS (
         SELECT 1 FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod
         WHERE m.amname = 'btree' AND o.opcdefault
           AND o.opcintype = coalesce(nullif(t.typbasetype, 0), t.oid))
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', $1) AND n.nspname !~ '^pg_'
ORDER BY a.attrelid, a.attnum LIMIT 100000)";

constexpr char kIndexesSql[] = R"(
SELECT i.indrelid, i.indexrelid, n.nspname, c.relname, m.amname, pg_get_indexdef(i.indexrelid),
       i.indisvalid, i.indisunique,
       EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid),
       i.indisreplident, c.relpages::bigint * 8192, coalesce(s.idx_scan, 0), i.indnkeyatts,
       coalesce(pg_get_expr(i.indpred, i.indrelid), ''),
       concat(i.indclass::text, '/', i.indcollation::text, '/', i.indoption::text, '/',
              pg_get_expr(i.indexprs, i.indrelid)),
       (SELECT json_agg(coalesce(a.attname, '') ORDER BY k.place)
        FROM unnest(i.indkey) WITH ORDINALITY k(attnum, place)
        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                                AND k.attnum <> 0)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am m ON m.oid = c.relam
LEFT JOIN pg_stat_user_indexes s ON s.indexrelid = i.indexrelid
WHERE c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', $1) AND n.nspname !~ '^pg_'
ORDER BY i.indrelid, i.indexrelid LIMIT 20000)";

// Arrays of any element type, as arrays of text; of a raised statistics target only the first.
constexpr char kStatisticsSql[] = R"(
SELECT attname, avg_width, n_distinct, null_frac,
       to_json((most_common_vals::text::text[])[1:200]), to_json(most_common_freqs[1:200]),
       to_json((histogram_bounds::text::text[])[1:1001])
FROM pg_stats WHERE schemaname = $1 AND tablename = $2
ORDER BY inherited LIMIT 2000)";

std::vector<std::string> Texts(const std::string& text) {
  std::vector<std::string> out;
  const json list = json::parse(text, nullptr, false);
  if (!list.is_array()) return out;
  for (const json& item : list) out.push_back(item.is_string() ? item.get<std::string>() : "");
  return out;
}

std::vector<double> Numbers(const std::string& text) {
  std::vector<double> out;
  const json list = json::parse(text, nullptr, false);
  if (!list.is_array()) return out;
  for (const json& item : list) out.push_back(item.is_number() ? item.get<double>() : 0);
  return out;
}

TableInfo TableOf(const Row& row) {
  TableInfo table;
  table.oid = IntAt(row, 0);
  table.schema = TextAt(row, 1);
  table.name = TextAt(row, 2);
  table.rows_count = DoubleAt(row, 3);
  table.size_bytes = IntAt(row, 4);
  table.inserts_count = IntAt(row, 5);
  table.updates_count = IntAt(row, 6);
  table.hot_updates_count = IntAt(row, 7);
  table.deletes_count = IntAt(row, 8);
  table.changes_since_analyze_count = IntAt(row, 9);
  table.ever_analyzed = BoolAt(row, 10);
  table.partitioned = BoolAt(row, 11);
  return table;
}

ColumnInfo ColumnOf(const Row& row) {
  ColumnInfo column;
  column.name = TextAt(row, 1);
  column.type = TextAt(row, 2);
  const std::string category = TextAt(row, 3);
  column.type_category = category.empty() ? 'U' : category[0];
  column.orderable = BoolAt(row, 4);
  return column;
}

IndexInfo IndexOf(const Row& row) {
  IndexInfo index;
  index.oid = IntAt(row, 1);
  index.schema = TextAt(row, 2);
  index.name = TextAt(row, 3);
  index.method = TextAt(row, 4);
  index.definition = TextAt(row, 5);
  index.valid = BoolAt(row, 6);
  index.unique = BoolAt(row, 7);
  index.of_constraint = BoolAt(row, 8);
  index.used_by_replica_identity = BoolAt(row, 9);
  index.size_bytes = IntAt(row, 10);
  index.scans_count = IntAt(row, 11);
  const size_t keys_count = static_cast<size_t>(IntAt(row, 12));
  index.predicate = TextAt(row, 13);
  index.options = TextAt(row, 14);
  std::vector<std::string> columns = Texts(TextAt(row, 15));
  for (size_t i = 0; i < columns.size(); ++i) {
    (i < keys_count ? index.keys : index.include).push_back(std::move(columns[i]));
  }
  return index;
}

}  // namespace

absl::StatusOr<Catalog> ReadCatalog(postgres::Connection& connection) {
  auto tables = connection.Query(kTablesSql, {kOwnSchema, absl::StrCat(kMaxCatalogTablesCount)});
  if (!tables.ok()) return tables.status();
  std::map<int64_t, TableInfo> by_oid;
  for (const Row& row : *tables) by_oid[IntAt(row, 0)] = TableOf(row);
  auto columns = connection.Query(kColumnsSql, {kOwnSchema});
  if (!columns.ok()) return columns.status();
  for (const Row& row : *columns) {
    const auto table = by_oid.find(IntAt(row, 0));
    if (table != by_oid.end()) table->second.columns.push_back(ColumnOf(row));
  }
  auto indexes = connection.Query(kIndexesSql, {kOwnSchema});
  if (!indexes.ok()) return indexes.status();
  for (const Row& row : *indexes) {
    const auto table = by_oid.find(IntAt(row, 0));
    if (table != by_oid.end()) table->second.indexes.push_back(IndexOf(row));
  }
  Catalog catalog;
  for (auto& [oid, table] : by_oid) catalog.Add(std::move(table));
  return catalog;
}

absl::Status ReadStatistics(postgres::Connection& connection, const std::set<int>& places,
                            Catalog& catalog) {
  for (const int place : places) {
    TableInfo& table = catalog.table(place);
    auto rows = connection.Query(kStatisticsSql, {table.schema, table.name});
    if (!rows.ok()) return rows.status();
    for (const Row& row : *rows) {
      const std::string name = TextAt(row, 0);
      for (ColumnInfo& column : table.columns) {
        if (column.name != name || column.has_statistics) continue;
        column.has_statistics = true;
        column.average_bytes = static_cast<int32_t>(IntAt(row, 1));
        column.distinct_count = DoubleAt(row, 2);
        column.null_fraction = DoubleAt(row, 3);
        column.common_values = Texts(TextAt(row, 4));
        column.common_frequencies = Numbers(TextAt(row, 5));
        column.histogram_bounds = Texts(TextAt(row, 6));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace slipstream::database_optimizer
