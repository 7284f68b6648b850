// Between JSON-like values and PostgreSQL's text: parameters in, rows out.
//
// Thread safety: pure functions.
#ifndef SERVICES_DATABASE_OPTIMIZER_QUERY_QUERY_VALUES_H_
#define SERVICES_DATABASE_OPTIMIZER_QUERY_QUERY_VALUES_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/struct.pb.h"
#include "libs/postgres/result.h"

namespace slipstream::database_optimizer {

inline constexpr int kMaxParametersCount = 100;
inline constexpr size_t kMaxParametersBytes = 1 << 20;

// Null, booleans, numbers and strings. INVALID_ARGUMENT INVALID_FIELD for others, for too many and
// for too much; for a string with a zero byte, which PostgreSQL's text cannot hold.
absl::StatusOr<std::vector<std::optional<std::string>>> ParametersToText(
    const google::protobuf::RepeatedPtrField<google::protobuf::Value>& parameters);

// A value of a type, as JSON would have it: numbers that a double holds exactly are numbers, and so
// are floats; numerics and whole numbers beyond 2^53, NaN and the infinities are strings, as is
// everything else but booleans.
void ToValue(std::string_view text, uint32_t type_oid, google::protobuf::Value* out);

// One row of it.
void ToRow(const postgres::Result& result, int64_t row, google::protobuf::ListValue* out);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_QUERY_QUERY_VALUES_H_
