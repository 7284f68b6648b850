// A statement as PostgreSQL's own parser sees it (libpg_query 15).
//
// Thread safety: pure functions; the parser keeps its state per thread. They cost tens of
// microseconds for a usual statement, and memory in proportion to its length, so callers bound it.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_STATEMENT_PARSE_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_STATEMENT_PARSE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace slipstream::database_optimizer {

inline constexpr absl::string_view kNotOneStatement = "MULTIPLE_STATEMENTS";
inline constexpr absl::string_view kWriteRefused = "STATEMENT_NOT_READ_ONLY";
inline constexpr absl::string_view kNotParsed = "STATEMENT_INVALID";

// Identifies the statement's shape, whatever its constants: 16 hexadecimal digits. Empty when it
// cannot be parsed.
std::string Fingerprint(const std::string& statement);

// What is known of exactly one statement.
struct ParsedStatement {
  // As a person calls it: SELECT, INSERT, UPDATE, DELETE, MERGE, EXPLAIN, CREATE ROLE, ...
  std::string kind;
  // Whether PostgreSQL plans it: SELECT, VALUES, TABLE, INSERT, UPDATE, DELETE, MERGE.
  bool planned = false;
  // The greatest n of its parameters $n; 0 for none.
  int parameters_count = 0;
};

// INVALID_ARGUMENT STATEMENT_INVALID with the parser's message and position, or
// MULTIPLE_STATEMENTS when there are several or none. A NUL byte is refused: the parser would stop
// there and the server see another text.
absl::StatusOr<ParsedStatement> ParseStatement(const std::string& statement);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_STATEMENT_PARSE_H_
