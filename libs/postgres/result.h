// What a statement returned: columns and rows as PostgreSQL's text.
//
// Thread safety: immutable; move-only. Views are valid as long as the Result is.
#ifndef LIBS_POSTGRES_RESULT_H_
#define LIBS_POSTGRES_RESULT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "libs/postgres/connection.h"
#include "libs/postgres/wal_position.h"

namespace slipstream::postgres {

class Result {
 public:
  Result() = default;
  Result(Result&&) = default;
  Result& operator=(Result&&) = default;

  int64_t rows_count() const { return rows_count_; }
  int columns_count() const { return static_cast<int>(columns_.size()); }
  std::string_view column_name(int column) const { return At(column).name; }
  // OID of the column's type in pg_type.
  uint32_t column_type(int column) const { return At(column).type; }
  // nullopt is NULL. REQUIRES: both within their counts.
  std::optional<std::string_view> Value(int64_t row, int column) const {
    const Cell& cell =
        cells_[static_cast<size_t>(row) * columns_.size() + static_cast<size_t>(column)];
    if (cell.size < 0) return std::nullopt;
    return std::string_view(bytes_).substr(cell.begin, static_cast<size_t>(cell.size));
  }
  // All of it, copied, as Connection::Query gives it.
  Rows ToRows() const;

  // Of all values together.
  size_t bytes_count() const { return bytes_.size(); }

  // There were more rows than Statement::max_rows_count.
  bool truncated() const { return truncated_; }
  // Rows inserted, updated or deleted; 0 for a read.
  int64_t changed_count() const { return changed_count_; }
  // From sending to the last byte of the answer.
  absl::Duration duration() const { return duration_; }
  // After a write: whoever has replayed this sees it. 0 after a read.
  WalPosition wal_position() const { return wal_position_; }
  bool on_replica() const { return on_replica_; }

 private:
  friend class Link;
  friend class Request;
  struct Column {
    std::string name;
    uint32_t type;
  };
  struct Cell {
    size_t begin;
    int size;  // -1: NULL
  };
  const Column& At(int column) const { return columns_[static_cast<size_t>(column)]; }

  std::vector<Column> columns_;
  std::vector<Cell> cells_;  // row by row
  std::string bytes_;        // of all cells
  int64_t rows_count_ = 0;
  bool truncated_ = false;
  bool on_replica_ = false;
  int64_t changed_count_ = 0;
  absl::Duration duration_;
  WalPosition wal_position_;
};

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_RESULT_H_
