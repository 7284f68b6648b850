// Values of a row of text, as PostgreSQL gives it.
//
// Thread safety: pure functions. What is NULL or cannot be read is empty or 0.
#ifndef SERVICES_DATABASE_OPTIMIZER_WHATIF_ROW_READER_H_
#define SERVICES_DATABASE_OPTIMIZER_WHATIF_ROW_READER_H_

#include <string>

#include "absl/strings/numbers.h"
#include "libs/postgres/connection.h"

namespace slipstream::database_optimizer {

inline std::string TextAt(const postgres::Row& row, size_t column) {
  return column < row.size() && row[column] ? *row[column] : std::string();
}
inline int64_t IntAt(const postgres::Row& row, size_t column) {
  int64_t out = 0;
  return absl::SimpleAtoi(TextAt(row, column), &out) ? out : 0;
}
inline double DoubleAt(const postgres::Row& row, size_t column) {
  double out = 0;
  return absl::SimpleAtod(TextAt(row, column), &out) ? out : 0;
}
inline bool BoolAt(const postgres::Row& row, size_t column) { return TextAt(row, column) == "t"; }

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WHATIF_ROW_READER_H_
