#include "services/database_optimizer/query/query_values.h"

#include <charconv>
#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "libs/postgres/type_names.h"
#include "libs/status/status.h"

namespace slipstream::database_optimizer {

namespace {

using google::protobuf::Value;

// Whole numbers up to here are doubles exactly.
constexpr int64_t kMaxExact = int64_t{1} << 53;
// A decimal of so many digits comes back from a double as it was (DBL_DIG).
constexpr size_t kMaxExactDigits = 15;

std::string NumberText(double number) {
  char text[32];
  // Whole numbers without an exponent, so that PostgreSQL reads them as integers too.
  if (std::abs(number) <= static_cast<double>(kMaxExact) && number == std::trunc(number)) {
    const auto end = std::to_chars(text, text + sizeof(text), static_cast<int64_t>(number)).ptr;
    return std::string(text, end);
  }
  // The shortest text that reads back as the same number.
  const auto end = std::to_chars(text, text + sizeof(text), number).ptr;
  return std::string(text, end);
}

template <class T>
std::optional<T> Parse(std::string_view text) {
  T out{};
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || at != text.data() + text.size()) return std::nullopt;
  return out;
}

// A numeric such as 12.50 of few digits; not NaN, Infinity or one of many digits.
std::optional<double> ParseShortDecimal(std::string_view text) {
  size_t digits_count = 0;
  for (const char c : text) digits_count += c >= '0' && c <= '9';
  if (digits_count > kMaxExactDigits) return std::nullopt;
  const auto out = Parse<double>(text);
  return out && std::isfinite(*out) ? out : std::nullopt;
}

}  // namespace

absl::StatusOr<std::vector<std::optional<std::string>>> ParametersToText(
    const google::protobuf::RepeatedPtrField<Value>& parameters) {
  if (parameters.size() > kMaxParametersCount) {
    return status::FieldError("parameters", absl::StrCat("at most ", kMaxParametersCount,
                                                         ", there are ", parameters.size()));
  }
  std::vector<std::optional<std::string>> out;
  out.reserve(static_cast<size_t>(parameters.size()));
  size_t bytes_count = 0;
  for (const Value& value : parameters) {
    const auto where = [&] { return absl::StrCat("parameters[", out.size(), "]"); };
    switch (value.kind_case()) {
      case Value::kNullValue:
        out.emplace_back();
        break;
      case Value::kBoolValue:
        out.emplace_back(value.bool_value() ? "true" : "false");
        break;
      case Value::kNumberValue:
        out.emplace_back(NumberText(value.number_value()));
        break;
      case Value::kStringValue:
        if (value.string_value().find('\0') != std::string::npos) {
          return status::FieldError(where(), "contains a zero byte, which PostgreSQL cannot hold");
        }
        out.emplace_back(value.string_value());
        break;
      default:
        return status::FieldError(where(),
                                  "must be null, a boolean, a number or a string; a list or an "
                                  "object goes as JSON text");
    }
    if (out.back()) bytes_count += out.back()->size();
  }
  if (bytes_count > kMaxParametersBytes) {
    return status::FieldError(
        "parameters",
        absl::StrCat("at most ", kMaxParametersBytes, " bytes together, they have ", bytes_count));
  }
  return out;
}

void ToValue(std::string_view text, uint32_t type_oid, Value* out) {
  switch (type_oid) {
    case postgres::kBoolOid:
      return out->set_bool_value(text == "t");
    case postgres::kInt2Oid:
    case postgres::kInt4Oid:
    case postgres::kOidOid:
    case postgres::kInt8Oid: {
      const auto number = Parse<int64_t>(text);
      if (number && *number >= -kMaxExact && *number <= kMaxExact) {
        return out->set_number_value(static_cast<double>(*number));
      }
      break;
    }
    case postgres::kFloat4Oid:
    case postgres::kFloat8Oid: {
      const auto number = Parse<double>(text);
      if (number && std::isfinite(*number)) return out->set_number_value(*number);
      break;
    }
    case postgres::kNumericOid:
      if (const auto number = ParseShortDecimal(text)) return out->set_number_value(*number);
      break;
    default:
      break;
  }
  out->set_string_value(text.data(), text.size());
}

void ToRow(const postgres::Result& result, int64_t row, google::protobuf::ListValue* out) {
  out->mutable_values()->Reserve(result.columns_count());
  for (int column = 0; column < result.columns_count(); ++column) {
    Value* value = out->add_values();
    const auto text = result.Value(row, column);
    if (text) {
      ToValue(*text, result.column_type(column), value);
    } else {
      value->set_null_value(google::protobuf::NULL_VALUE);
    }
  }
}

}  // namespace slipstream::database_optimizer
