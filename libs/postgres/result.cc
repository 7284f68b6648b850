#include "libs/postgres/result.h"

#include <libpq-fe.h>

namespace slipstream::postgres {

namespace {

std::optional<std::string_view> ValueOf(const PGresult* result, int row, int column) {
  if (PQgetisnull(result, row, column)) return std::nullopt;
  return std::string_view(PQgetvalue(result, row, column),
                          static_cast<size_t>(PQgetlength(result, row, column)));
}

}  // namespace

void Result::Clear::operator()(pg_result* result) const { PQclear(result); }

const pg_result* Result::shape() const { return rows_.empty() ? end_.get() : rows_[0].get(); }

int Result::columns_count() const { return shape() == nullptr ? 0 : PQnfields(shape()); }

std::string_view Result::column_name(int column) const { return PQfname(shape(), column); }

uint32_t Result::column_type(int column) const { return PQftype(shape(), column); }

std::optional<std::string_view> Result::Value(int64_t row, int column) const {
  return ValueOf(rows_[static_cast<size_t>(row)].get(), 0, column);
}

Rows Result::ToRows() const {
  Rows out;
  out.reserve(rows_.size());
  for (const auto& from : rows_) {
    Row row;
    const int columns = PQnfields(from.get());
    row.reserve(static_cast<size_t>(columns));
    for (int i = 0; i < columns; ++i) {
      const auto value = ValueOf(from.get(), 0, i);
      row.push_back(value ? std::optional<std::string>(*value) : std::nullopt);
    }
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace slipstream::postgres
