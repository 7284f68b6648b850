// Why a node ended a subscriber. The names are part of the API (AttachResponse.Closed.reason).
#ifndef SERVICES_NOTIFICATION_CLOSE_REASON_H_
#define SERVICES_NOTIFICATION_CLOSE_REASON_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace slipstream::notification {

enum class CloseReason : uint8_t {
  kUnauthenticated,
  kTokenExpired,
  kPermissionDenied,
  kTooManyConnections,
  kSlowReader,
  kInvalidCursor,
  kInvalidTypes,
  kStoreUnavailable,  // the history could not be read, so nobody knows what was missed
};
inline constexpr size_t kCloseReasonCount = 8;

inline std::string_view CloseReasonName(CloseReason reason) {
  constexpr std::array<std::string_view, kCloseReasonCount> kNames = {
      "UNAUTHENTICATED", "TOKEN_EXPIRED",  "PERMISSION_DENIED", "TOO_MANY_CONNECTIONS",
      "SLOW_READER",     "INVALID_CURSOR", "INVALID_TYPES",     "STORE_UNAVAILABLE"};
  return kNames[static_cast<size_t>(reason)];
}

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_CLOSE_REASON_H_
