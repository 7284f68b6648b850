// What PostgreSQL's own parser (libpg_query) says of a statement: whether Query may run it, and
// which tables it names.
//
// This is the first of three walls. The second is PostgreSQL's: the extended protocol takes one
// statement, and the session is read-only. The third is the pool's, which throws a session away
// whose mode was changed. The parser is there to say early and clearly what is wrong, and to refuse
// functions whose effects a read-only transaction does not stop.
//
// Thread safety: pure functions.
#ifndef SERVICES_DATABASE_OPTIMIZER_QUERY_CHECKED_STATEMENT_H_
#define SERVICES_DATABASE_OPTIMIZER_QUERY_CHECKED_STATEMENT_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace slipstream::database_optimizer {

// As written; a schema that is not written is empty.
struct TableName {
  std::string schema;
  std::string table;
  friend auto operator<=>(const TableName&, const TableName&) = default;
};

struct CheckedStatement {
  std::shared_ptr<const std::string> sql;
  // OK, or INVALID_ARGUMENT with reason STATEMENT_INVALID (syntax), MULTIPLE_STATEMENTS,
  // STATEMENT_NOT_READ_ONLY or FUNCTION_NOT_ALLOWED.
  absl::Status status;
  // Named anywhere in it, each once; names of its own WITH queries may be among them.
  std::vector<TableName> tables;
};

inline constexpr std::string_view kStatementInvalid = "STATEMENT_INVALID";
inline constexpr std::string_view kMultipleStatements = "MULTIPLE_STATEMENTS";
inline constexpr std::string_view kNotReadOnly = "STATEMENT_NOT_READ_ONLY";
inline constexpr std::string_view kFunctionNotAllowed = "FUNCTION_NOT_ALLOWED";

CheckedStatement CheckStatement(std::string_view sql);

// Whether a function has effects that outlive a read-only transaction, or reaches files, other
// sessions or other servers. `name` in lower case, without its schema.
bool HasLastingEffect(std::string_view name);

// "schema.table" or "table", as written or quoted. False: it is no such name.
bool ParseTableName(std::string_view text, TableName* out);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_QUERY_CHECKED_STATEMENT_H_
