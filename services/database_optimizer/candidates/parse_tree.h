// PostgreSQL's parse tree of a statement, as JSON: the seam to libpg_query 15-4.0, the server's own
// parser, so what it reads is what the server reads.
//
// Thread safety: any thread; the parser's memory is per thread.
// Errors: INVALID_ARGUMENT STATEMENT_UNREADABLE.
#ifndef SERVICES_DATABASE_OPTIMIZER_CANDIDATES_PARSE_TREE_H_
#define SERVICES_DATABASE_OPTIMIZER_CANDIDATES_PARSE_TREE_H_

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"

namespace slipstream::database_optimizer {

// The one statement of `sql`: {"SelectStmt": {...}}.
absl::StatusOr<nlohmann::json> ParseTree(const std::string& sql);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_CANDIDATES_PARSE_TREE_H_
