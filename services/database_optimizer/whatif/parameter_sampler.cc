#include "services/database_optimizer/whatif/parameter_sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/database_optimizer/candidates/sql_text.h"

namespace slipstream::database_optimizer {

namespace {

constexpr double kRangeWidths[] = {0.03, 0.1, 0.3};  // share of the rows between the two ends
constexpr const char* kDays[] = {"7", "30", "90"};
constexpr const char* kMonths[] = {"1", "1", "3"};
constexpr size_t kPatternBytes = 4;

// The value below which a share `at` of the rows lies.
std::string Quantile(const ColumnInfo& column, double at) {
  const auto& bounds = column.histogram_bounds;
  if (!bounds.empty()) {
    const double last = static_cast<double>(bounds.size() - 1);
    return bounds[static_cast<size_t>(std::lround(std::clamp(at, 0.0, 1.0) * last))];
  }
  // Few values: in order, as numbers where they are.
  std::vector<std::string> values = column.common_values;
  std::sort(values.begin(), values.end(), [&](const std::string& a, const std::string& b) {
    double x = 0;
    double y = 0;
    if (column.type_category == 'N' && absl::SimpleAtod(a, &x) && absl::SimpleAtod(b, &y)) {
      return x < y;
    }
    return a < b;
  });
  if (values.empty()) return "";
  const double last = static_cast<double>(values.size() - 1);
  return values[static_cast<size_t>(std::lround(std::clamp(at, 0.0, 1.0) * last))];
}

// The value of a row drawn at `at` of all rows.
std::string OfRow(const ColumnInfo& column, double at) {
  double passed = 0;
  const size_t count = std::min(column.common_values.size(), column.common_frequencies.size());
  for (size_t i = 0; i < count; ++i) {
    passed += column.common_frequencies[i];
    if (at < passed) return column.common_values[i];
  }
  if (column.histogram_bounds.empty()) return count > 0 ? column.common_values[0] : "";
  return Quantile(column, passed < 1 ? (at - passed) / (1 - passed) : 0.5);
}

// One of the values, each as likely, however many rows have it: who looks for something often
// looks for what is rare.
std::string OfValues(const ColumnInfo& column, double at) {
  const auto& common = column.common_values;
  if (common.empty() || !column.histogram_bounds.empty()) return OfRow(column, at);
  return common[std::min(common.size() - 1,
                         static_cast<size_t>(at * static_cast<double>(common.size())))];
}

// Types whose constants may be written `type 'value'`.
constexpr const char* kPrefixTypes[] = {"date",      "time",        "timetz",
                                        "timestamp", "timestamptz", "interval"};
constexpr const char* kIntervalUnits[] = {"year", "month", "day", "hour", "minute", "second"};

bool IsWordByte(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_'; }

template <size_t N>
bool IsOneOf(const char* const (&words)[N], absl::string_view word) {
  return std::any_of(std::begin(words), std::end(words),
                     [&](const char* one) { return absl::EqualsIgnoreCase(one, word); });
}

// Behind the digits of the parameter at `begin`.
size_t EndOfParameter(const std::string& sql, size_t begin) {
  size_t end = begin + 1;
  while (end < sql.size() && absl::ascii_isdigit(static_cast<unsigned char>(sql[end]))) ++end;
  return end;
}

class Sampler {
 public:
  Sampler(const std::string& sql, const StatementShape& shape, const Catalog& catalog,
          double rows_per_run, int sample, int samples_count)
      : sql_(sql),
        shape_(shape),
        catalog_(catalog),
        rows_per_run_(rows_per_run),
        sample_(sample),
        samples_count_(samples_count) {}

  std::string Fill() const {
    std::string out;
    size_t at = 0;
    for (size_t i = 0; i < shape_.parameters.size(); ++i) {
      const Parameter& parameter = shape_.parameters[i];
      const auto begin = static_cast<size_t>(parameter.location);
      if (begin < at || begin >= sql_.size() || sql_[begin] != '$') continue;
      const size_t end = EndOfParameter(sql_, begin);
      absl::StrAppend(&out, sql_.substr(at, begin - at), ValueOf(i, end));
      at = end;
    }
    return out + sql_.substr(at);
  }

 private:
  const ColumnInfo* ColumnOf(const Parameter& parameter) const {
    if (parameter.column.relation < 0) return nullptr;
    return catalog_.table(shape_.relations[parameter.column.relation].table)
        .FindColumn(parameter.column.column);
  }

  // Evenly spread over the samples, and differently for each column.
  double PointOf(const Parameter& parameter) const {
    double shift = 0;
    for (const char c : parameter.column.column) shift += 0.618 * static_cast<unsigned char>(c);
    const double at = (sample_ + 0.5) / samples_count_ + shift +
                      (parameter.end == Parameter::End::kNone ? 0.618 * parameter.number : 0);
    return at - std::floor(at);
  }

  std::string ValueOf(size_t i, size_t end) const {
    const Parameter& parameter = shape_.parameters[i];
    switch (parameter.kind) {
      case Parameter::Kind::kColumn:
        return ColumnValue(i);
      case Parameter::Kind::kPattern: {
        const ColumnInfo* column = ColumnOf(parameter);
        const std::string value = column == nullptr ? "" : OfRow(*column, PointOf(parameter));
        // In the middle: a beginning could use an index that the true pattern cannot.
        return QuoteValue(absl::StrCat("%", value.substr(0, kPatternBytes), "%"));
      }
      case Parameter::Kind::kLimit:
        return absl::StrCat(std::lround(std::max(1.0, rows_per_run_)));
      case Parameter::Kind::kTyped:
        return QuoteValue(TypedValue(parameter.type, end));
      case Parameter::Kind::kNumber:
        return NumberValue(parameter);
      case Parameter::Kind::kOther:
        break;
    }
    return "'1'";
  }

  // Days are added to a date, and a whole number to whole ones; of others a little.
  std::string NumberValue(const Parameter& parameter) const {
    const ColumnInfo* column = ColumnOf(parameter);
    if (column != nullptr && column->type == "date") return kDays[sample_ % 3];
    const bool whole =
        column != nullptr &&
        (column->type == "integer" || column->type == "bigint" || column->type == "smallint");
    return parameter.in_arithmetic && !whole ? "0.01" : "1";
  }

  bool BothEnds(const Parameter& parameter) const {
    return std::any_of(shape_.parameters.begin(), shape_.parameters.end(), [&](const auto& other) {
      return other.kind == Parameter::Kind::kColumn && other.column == parameter.column &&
             other.end != Parameter::End::kNone && other.end != parameter.end;
    });
  }

  std::string ColumnValue(size_t i) const {
    const Parameter& parameter = shape_.parameters[i];
    const ColumnInfo* column = ColumnOf(parameter);
    if (column == nullptr) return "'1'";
    const double point = PointOf(parameter);
    std::string value;
    if (parameter.end == Parameter::End::kNone) {
      // As the rows have them; each value alike; and the rarest of those that are common.
      value = sample_ % 3 == 0   ? OfRow(*column, point)
              : sample_ % 3 == 1 ? OfValues(*column, point)
              : column->histogram_bounds.empty() && !column->common_values.empty()
                  ? column->common_values.back()
                  : OfRow(*column, point);
    } else if (!BothEnds(parameter)) {
      value = Quantile(*column, point);
    } else {
      const double width = kRangeWidths[sample_ % 3];
      const double low = point * (1 - width);
      // `column < $2 + interval $3` beside `column >= $1` mostly has the same value twice.
      const bool begins_again = i + 1 < shape_.parameters.size() &&
                                (shape_.parameters[i + 1].type == "interval" ||
                                 (shape_.parameters[i + 1].kind == Parameter::Kind::kNumber &&
                                  shape_.parameters[i + 1].column == parameter.column));
      value = Quantile(*column,
                       parameter.end == Parameter::End::kLow || begins_again ? low : low + width);
    }
    if (value.empty()) value = TypedValue(column->type, sql_.size());
    return QuoteValue(value);
  }

  std::string TypedValue(const std::string& type, size_t end) const {
    if (type == "field") return "year";
    if (type == "interval") {
      const std::string rest = absl::AsciiStrToLower(absl::StripLeadingAsciiWhitespace(
          absl::string_view(sql_).substr(std::min(end, sql_.size()), 12)));
      const bool month = absl::StartsWith(rest, "month");
      if (absl::StartsWith(rest, "year")) return "1";
      if (month) return kMonths[sample_ % 3];
      if (absl::StartsWith(rest, "day")) return kDays[sample_ % 3];
      return absl::StrCat(kDays[sample_ % 3], " days");
    }
    if (type == "bool" || type == "boolean") return "true";
    if (absl::StartsWith(type, "date") || absl::StartsWith(type, "timestamp")) return "2020-01-01";
    if (type == "uuid") return "00000000-0000-0000-0000-000000000000";
    return "1";
  }

  const std::string& sql_;
  const StatementShape& shape_;
  const Catalog& catalog_;
  const double rows_per_run_;
  const int sample_, samples_count_;
};

}  // namespace

std::string FillIn(const std::string& sql, const StatementShape& shape, const Catalog& catalog,
                   double rows_per_run, int sample, int samples_count) {
  return Sampler(sql, shape, catalog, rows_per_run, sample, samples_count).Fill();
}

std::string WithCasts(const std::string& sql, const StatementShape& shape) {
  std::string out;
  size_t at = 0;
  for (const Parameter& parameter : shape.parameters) {
    const auto begin = static_cast<size_t>(parameter.location);
    if (begin < at || begin >= sql.size() || sql[begin] != '$') continue;
    size_t end = EndOfParameter(sql, begin);
    size_t word_end = begin;
    while (word_end > at && absl::ascii_isspace(static_cast<unsigned char>(sql[word_end - 1]))) {
      --word_end;
    }
    size_t word = word_end;
    while (word > at && IsWordByte(sql[word - 1])) --word;
    std::string type = sql.substr(word, word_end - word);
    if (!IsOneOf(kPrefixTypes, type)) continue;
    absl::StrAppend(&out, sql.substr(at, word - at), "CAST(", sql.substr(begin, end - begin));
    // `interval '3' month` has its unit behind it.
    size_t unit = end;
    while (unit < sql.size() && absl::ascii_isspace(static_cast<unsigned char>(sql[unit]))) ++unit;
    size_t unit_end = unit;
    while (unit_end < sql.size() && IsWordByte(sql[unit_end])) ++unit_end;
    if (absl::EqualsIgnoreCase(type, "interval") &&
        IsOneOf(kIntervalUnits, absl::string_view(sql).substr(unit, unit_end - unit))) {
      absl::StrAppend(&type, " ", sql.substr(unit, unit_end - unit));
      end = unit_end;
    }
    absl::StrAppend(&out, " AS ", type, ")");
    at = end;
  }
  return out + sql.substr(at);
}

}  // namespace slipstream::database_optimizer
