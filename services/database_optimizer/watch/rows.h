// Reads PostgreSQL's text into numbers and times.
//
// Thread safety: pure functions. NULL and what is not a number read as 0 or "".
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_ROWS_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_ROWS_H_

#include <cmath>
#include <cstdint>
#include <string>
#include <type_traits>

#include "absl/strings/numbers.h"
#include "google/protobuf/timestamp.pb.h"
#include "libs/postgres/connection.h"

namespace slipstream::database_optimizer {

inline std::string Text(const postgres::Row& row, size_t column) {
  return column < row.size() && row[column] ? *row[column] : std::string();
}

template <class T>
T Number(const postgres::Row& row, size_t column) {
  T out = 0;
  if constexpr (std::is_floating_point_v<T>) {
    if (!absl::SimpleAtod(Text(row, column), &out) || !std::isfinite(out)) out = 0;
  } else {
    if (!absl::SimpleAtoi(Text(row, column), &out)) out = 0;
  }
  return out;
}

// Seconds since 1970, as extract(epoch FROM ...) gives them. `set` is called unless they are NULL.
template <class Set>
void SetEpoch(const postgres::Row& row, size_t column, Set set) {
  if (Text(row, column).empty()) return;
  const double seconds = Number<double>(row, column);
  google::protobuf::Timestamp out;
  out.set_seconds(static_cast<int64_t>(seconds));
  out.set_nanos(static_cast<int32_t>((seconds - static_cast<double>(out.seconds())) * 1e9));
  *set() = out;
}

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_ROWS_H_
