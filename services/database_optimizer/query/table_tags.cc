#include "services/database_optimizer/query/table_tags.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/database_optimizer/candidates/sql_text.h"

namespace slipstream::database_optimizer {

namespace {

// Longer ones cannot be tags.
constexpr size_t kMaxTagBytes = 128;

// From the named tables: what views read, parts downwards, parents upwards and not down again from
// there, and tables that a foreign key lets change rows.
constexpr char kReadSql[] = R"(
WITH RECURSIVE reach(oid, may_descend) AS (
  SELECT to_regclass(name)::oid, true FROM unnest($1::text[]) AS name
  WHERE to_regclass(name) IS NOT NULL
  UNION
  SELECT next.oid, next.may_descend FROM reach r, LATERAL (
    SELECT d.refobjid, true FROM pg_rewrite w JOIN pg_depend d
      ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
      AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.oid
    WHERE w.ev_class = r.oid
    UNION ALL SELECT inhrelid, true FROM pg_inherits WHERE inhparent = r.oid AND r.may_descend
    UNION ALL SELECT inhparent, false FROM pg_inherits WHERE inhrelid = r.oid
    UNION ALL SELECT confrelid, false FROM pg_constraint
      WHERE conrelid = r.oid AND contype = 'f'
      AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'))
  ) AS next(oid, may_descend)
)
SELECT DISTINCT n.nspname || '.' || c.relname FROM reach JOIN pg_class c ON c.oid = reach.oid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'm', 'v') AND n.nspname <> 'information_schema'
ORDER BY 1 LIMIT 1000)";

constexpr char kWriteSql[] = R"(
SELECT name, n.nspname || '.' || c.relname FROM unnest($1::text[]) AS name
JOIN pg_class c ON c.oid = to_regclass(name) JOIN pg_namespace n ON n.oid = c.relnamespace)";

std::string Quoted(const TableName& name) {
  return name.schema.empty() ? QuoteName(name.table) : QuoteName(name.schema, name.table);
}

// An array literal of PostgreSQL's.
std::string ArrayOf(const std::vector<TableName>& tables) {
  std::string out = "{";
  for (const TableName& table : tables) {
    if (out.size() > 1) out += ',';
    out += '"';
    for (const char c : Quoted(table)) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + "}";
}

postgres::Statement Reading(const char* sql, const std::vector<TableName>& tables) {
  return {.sql = std::make_shared<const std::string>(sql), .parameters = {ArrayOf(tables)}};
}

}  // namespace

Async<absl::StatusOr<std::vector<std::string>>> TableTags::ForRead(
    const std::vector<TableName>& tables, const postgres::Caller& caller, size_t max_count) {
  {
    sync::MutexLock lock(mutex_);
    const auto found = kept_.find(tables);
    if (found != kept_.end() && clock_.Monotonic() < found->second.until) {
      co_return found->second.tags;
    }
  }
  const absl::Duration until = clock_.Monotonic() + kKeep;
  auto result = co_await pool_.Run(Reading(kReadSql, tables), caller);
  if (!result.ok()) co_return result.status();
  std::vector<std::string> tags;
  bool many = result->rows_count() > static_cast<int64_t>(max_count);
  for (int64_t row = 0; row < result->rows_count(); ++row) {
    tags.emplace_back(result->Value(row, 0).value_or(""));
    many |= tags.back().size() > kMaxTagBytes;
  }
  if (many) tags = {kManyTables};
  sync::MutexLock lock(mutex_);
  if (kept_.size() >= kMaxKeptCount) kept_.clear();
  kept_[tables] = {until, tags};
  co_return tags;
}

Async<std::vector<std::string>> TableTags::ForWrite(const std::vector<TableName>& tables,
                                                    const postgres::Caller& caller) {
  std::set<std::string> tags = {kManyTables};
  std::set<std::string> found;
  auto result = co_await pool_.Run(Reading(kWriteSql, tables), caller);
  if (result.ok()) {
    for (int64_t row = 0; row < result->rows_count(); ++row) {
      found.emplace(result->Value(row, 0).value_or(""));
      tags.emplace(result->Value(row, 1).value_or(""));
    }
  }
  for (const TableName& table : tables) {
    if (found.contains(Quoted(table))) continue;
    tags.insert(absl::StrCat(table.schema.empty() ? "public" : table.schema, ".", table.table));
  }
  std::erase_if(tags, [](const std::string& tag) { return tag.size() > kMaxTagBytes; });
  co_return std::vector<std::string>(tags.begin(), tags.end());
}

}  // namespace slipstream::database_optimizer
