#include "services/database_optimizer/whatif/index_size.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/match.h"

namespace slipstream::database_optimizer {

namespace {

constexpr double kPageBytes = 8192;
// Less the page's header and its neighbours' numbers, at a fill factor of 90.
constexpr double kUsablePageBytes = (kPageBytes - 40) * 0.9;
constexpr double kUpperLevels = 1.01;
constexpr double kTupleHeaderBytes = 8;
constexpr double kLinePointerBytes = 4;
constexpr double kAlignBytes = 8;
constexpr double kRowAddressBytes = 6;
// CREATE INDEX makes no longer lists of rows: a tenth of a page.
constexpr double kMaxListBytes = 812;
// Below so many rows a key a list of them saves nothing worth counting.
constexpr double kLeastRowsPerKey = 1.5;
constexpr double kUnknownDistinctCount = 200;  // as the planner assumes

double Aligned(double bytes, double to) { return std::ceil(bytes / to) * to; }

// Of types with a fixed length; short texts and numerics are not aligned.
double AlignmentOf(const std::string& type) {
  for (const char* of_8 : {"bigint", "timestamp", "double", "time", "interval", "money"}) {
    if (absl::StartsWith(type, of_8)) return 8;
  }
  for (const char* of_4 : {"integer", "date", "real", "oid"}) {
    if (absl::StartsWith(type, of_4)) return 4;
  }
  return type == "smallint" ? 2 : 1;
}

// Types of which two equal values may look different are never kept once.
bool KeptOnce(const std::string& type) {
  for (const char* never : {"numeric", "real", "double", "interval", "json", "record"}) {
    if (absl::StartsWith(type, never)) return false;
  }
  return true;
}

}  // namespace

int64_t SizeOnDisk(const IndexDefinition& index, const TableInfo& table, double rows_count) {
  rows_count = std::max(rows_count, 1.0);
  double tuple_bytes = kTupleHeaderBytes;
  double combinations = 1;
  bool once = index.include.empty();
  const auto add = [&](const std::string& name) {
    const ColumnInfo* column = table.FindColumn(name);
    if (column == nullptr) return;
    const double alignment = AlignmentOf(column->type);
    tuple_bytes = Aligned(tuple_bytes, alignment) + column->average_bytes;
    // The average is cut to a whole number; in what is padded a byte too few may be eight.
    if (alignment == 1 && column->average_bytes > 1) tuple_bytes += 1;
    once = once && KeptOnce(column->type);
    const double distinct = column->distinct_count;
    combinations *= distinct > 0   ? distinct
                    : distinct < 0 ? -distinct * std::max(table.rows_count, 1.0)
                                   : kUnknownDistinctCount;
  };
  for (const auto& key : index.keys) add(key.column);
  for (const auto& column : index.include) add(column);
  const double key_bytes = Aligned(tuple_bytes, kAlignBytes);
  double entries_count = rows_count;
  double entry_bytes = key_bytes + kLinePointerBytes;
  // So many different keys do the rows have when each is as likely.
  const double keys_count = combinations * -std::expm1(-rows_count / combinations);
  if (once && rows_count >= kLeastRowsPerKey * keys_count) {
    const double per_key = rows_count / keys_count;
    const double lists = std::ceil(per_key * kRowAddressBytes / (kMaxListBytes - key_bytes));
    const double list_bytes =
        Aligned(key_bytes + per_key / lists * kRowAddressBytes, kAlignBytes) + kLinePointerBytes;
    if (keys_count * lists * list_bytes < entries_count * entry_bytes) {
      entries_count = keys_count * lists;
      entry_bytes = list_bytes;
    }
  }
  // At a page's end half an entry is left, on average.
  const double pages =
      std::ceil(entries_count * entry_bytes / (kUsablePageBytes - entry_bytes / 2) * kUpperLevels);
  // The first page says where the root is.
  return static_cast<int64_t>((1 + pages) * kPageBytes);
}

}  // namespace slipstream::database_optimizer
