#include "libs/postgres/result.h"

namespace slipstream::postgres {

Rows Result::ToRows() const {
  Rows out;
  out.reserve(static_cast<size_t>(rows_count_));
  for (int64_t i = 0; i < rows_count_; ++i) {
    Row row;
    row.reserve(columns_.size());
    for (int column = 0; column < columns_count(); ++column) {
      const auto value = Value(i, column);
      row.push_back(value ? std::optional<std::string>(*value) : std::nullopt);
    }
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace slipstream::postgres
