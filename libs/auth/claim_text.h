// The bounds of what a token may say, shared by the side that issues and the side that verifies.
#ifndef SLIPSTREAM_LIBS_AUTH_CLAIM_TEXT_H_
#define SLIPSTREAM_LIBS_AUTH_CLAIM_TEXT_H_

#include <cstddef>
#include <string_view>

namespace slipstream::auth {

inline constexpr size_t kMaxTokenBytes = 8 * 1024;
inline constexpr size_t kMaxSubjectBytes = 128;
inline constexpr size_t kMaxTenantBytes = 128;
inline constexpr size_t kMaxTokenIdBytes = 128;
inline constexpr size_t kMaxKeyIdBytes = 128;
inline constexpr size_t kMaxRoleBytes = 64;
inline constexpr size_t kMaxRoleCount = 16;
inline constexpr size_t kMaxAudienceCount = 16;

// True for 1..max_bytes bytes of well-formed UTF-8 without control characters (C0, DEL, C1). Names
// that pass go into logs, keys and proto strings as they are.
bool IsClaimText(std::string_view text, size_t max_bytes);

}  // namespace slipstream::auth

#endif  // SLIPSTREAM_LIBS_AUTH_CLAIM_TEXT_H_
