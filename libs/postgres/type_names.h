// Names of PostgreSQL's built-in types by their OIDs, which are the same in every database.
//
// Thread safety: pure functions.
#ifndef LIBS_POSTGRES_TYPE_NAMES_H_
#define LIBS_POSTGRES_TYPE_NAMES_H_

#include <cstdint>
#include <string_view>

namespace slipstream::postgres {

inline constexpr uint32_t kBoolOid = 16;
inline constexpr uint32_t kInt8Oid = 20;
inline constexpr uint32_t kInt2Oid = 21;
inline constexpr uint32_t kInt4Oid = 23;
inline constexpr uint32_t kOidOid = 26;
inline constexpr uint32_t kFloat4Oid = 700;
inline constexpr uint32_t kFloat8Oid = 701;
inline constexpr uint32_t kNumericOid = 1700;

// Such as "int8"; empty for a type that is not among the frequent ones.
std::string_view BuiltInTypeName(uint32_t oid);

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_TYPE_NAMES_H_
