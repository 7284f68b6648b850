// What a statement asks of its tables: which columns it compares, joins, sorts and reads. Read off
// PostgreSQL's own parser (libpg_query); no database is needed.
//
// Thread safety: AnalyzeStatement from any thread.
// Errors: INVALID_ARGUMENT STATEMENT_UNREADABLE: a syntax error, more than one statement, one that
// is not SELECT, INSERT, UPDATE, DELETE or MERGE, or nested or long beyond the bounds below.
#ifndef SERVICES_DATABASE_OPTIMIZER_CANDIDATES_STATEMENT_SHAPE_H_
#define SERVICES_DATABASE_OPTIMIZER_CANDIDATES_STATEMENT_SHAPE_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/database_optimizer/candidates/catalog.h"

namespace slipstream::database_optimizer {

inline constexpr absl::string_view kStatementUnreadable = "STATEMENT_UNREADABLE";

inline constexpr size_t kMaxParsedStatementBytes = 64 * 1024;
inline constexpr int kMaxStatementDepth = 200;

enum class StatementKind { kSelect, kInsert, kUpdate, kDelete, kOther };

// A column of one of the statement's relations.
struct ColumnRef {
  int relation = -1;  // place in StatementShape::relations
  std::string column;
  auto operator<=>(const ColumnRef&) const = default;
};

struct Comparison {
  enum class Kind {
    kEqual,    // =, IN, = ANY
    kRange,    // <, <=, >, >=, BETWEEN
    kPattern,  // LIKE and the like
    kIsNull,
    kIsNotNull,
    kIsTrue,
    kIsFalse,
  };
  ColumnRef column;
  Kind kind = Kind::kEqual;
  bool alternative = false;  // one arm of an OR
  // SQL text of the constant of `column = constant`, where the statement has it; else empty.
  std::string constant;
};

struct SortColumn {
  ColumnRef column;
  bool descending = false;
  auto operator<=>(const SortColumn&) const = default;
};

struct Relation {
  int table = -1;  // place in the catalog
  std::string alias;
  bool every_column = false;          // SELECT * or a whole row
  std::set<std::string> columns;      // all that are read
  std::set<std::string> set_columns;  // assigned by UPDATE
};

// What stands where $n is, so that a value can be found for it.
struct Parameter {
  enum class Kind { kColumn, kPattern, kLimit, kTyped, kNumber, kOther };
  int number = 0;
  int location = 0;  // byte of its `$`
  Kind kind = Kind::kOther;
  // kColumn, kPattern: what it is compared with; kNumber: likewise, as a part of the expression.
  ColumnRef column;
  // kColumn: which end of a range. Both ends of one range fit together.
  enum class End { kNone, kLow, kHigh } end = End::kNone;
  bool in_arithmetic = false;  // not the first one of its expression
  std::string type;            // kTyped: "interval", "date", ...; "field" of extract()
};

struct StatementShape {
  StatementKind kind = StatementKind::kSelect;
  std::vector<Relation> relations;  // base tables that the catalog knows
  std::vector<Comparison> comparisons;
  std::vector<std::pair<ColumnRef, ColumnRef>> joins;
  std::vector<std::vector<SortColumn>> sorts;  // ORDER BY, as far as it is columns of one relation
  std::vector<std::vector<ColumnRef>> groups;  // GROUP BY, DISTINCT, likewise
  std::vector<Parameter> parameters;           // in order of location
  int written_table = -1;                      // place in the catalog
  bool has_limit = false;
};

absl::StatusOr<StatementShape> AnalyzeStatement(const std::string& sql, const Catalog& catalog);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_CANDIDATES_STATEMENT_SHAPE_H_
