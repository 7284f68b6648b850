// A B-tree index that is not there yet: its columns, and the SQL that makes it.
//
// Thread safety: plain values. Nothing fails.
#ifndef SERVICES_DATABASE_OPTIMIZER_CANDIDATES_INDEX_DEFINITION_H_
#define SERVICES_DATABASE_OPTIMIZER_CANDIDATES_INDEX_DEFINITION_H_

#include <string>
#include <vector>

#include "services/database_optimizer/candidates/catalog.h"

namespace slipstream::database_optimizer {

struct IndexKey {
  std::string column;
  bool descending = false;
  auto operator<=>(const IndexKey&) const = default;
};

struct IndexDefinition {
  std::string schema, table;
  std::vector<IndexKey> keys;
  std::vector<std::string> include;
  std::string predicate;  // SQL, its names quoted; empty: all rows
  auto operator<=>(const IndexDefinition&) const = default;

  // ON schema.table USING btree (...) INCLUDE (...) WHERE ...
  std::string Target() const;
  // CREATE INDEX CONCURRENTLY name ON ...
  std::string CreateSql(const std::string& name) const;
  // As hypopg_create_index reads it.
  std::string HypotheticalSql() const;
  // prefix + table + columns + 8 hexadecimal digits of all of it; at most 63 bytes, and the same
  // for the same definition.
  std::string Name(const std::string& prefix) const;
};

// DROP INDEX CONCURRENTLY schema.name
std::string DropIndexSql(const std::string& schema, const std::string& name);

// Whether an index that is there does what `wanted` would do: the same columns first, and all that
// it would include.
bool IsServedBy(const IndexDefinition& wanted, const IndexInfo& there);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_CANDIDATES_INDEX_DEFINITION_H_
