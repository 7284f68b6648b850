// What can be said of a statement's text without parsing it, so that it holds for text that
// PostgreSQL has cut off (track_activity_query_size) and for dialects that the parser does not
// know.
//
// Thread safety: pure functions.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_STATEMENT_TEXT_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_STATEMENT_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace slipstream::database_optimizer {

// What is shown of a statement at most.
inline constexpr size_t kMaxStatementBytes = 4096;

// The statement with every constant replaced by $n (numbers go on after those it has), comments
// and the last semicolon removed and runs of blanks made one. String literals of every form (with E
// and U&, dollar quotes) and numbers are constants. One that is not closed, and a plain literal
// with a backslash before its end, reach to the end of the text: rather too little is shown than a
// constant. At most kMaxStatementBytes, cut at a character's edge.
std::string RedactConstants(std::string_view statement);

// The trace id (32 lower-case hexadecimal digits) of a sqlcommenter comment
// `/*traceparent='00-<trace>-<span>-<flags>'*/`; empty without one. Specification:
// google.github.io/sqlcommenter/spec and W3C Trace Context.
std::string TraceIdOf(std::string_view statement);

// Whether it is a statement that PostgreSQL plans: SELECT, INSERT, UPDATE, DELETE, MERGE, WITH,
// VALUES or TABLE, behind comments and parentheses.
bool IsPlanned(std::string_view statement);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_STATEMENT_TEXT_H_
