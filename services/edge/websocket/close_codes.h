// Why the edge closes a WebSocket: the codes are part of the public contract
// (services/edge/README).
#ifndef SERVICES_EDGE_WEBSOCKET_CLOSE_CODES_H_
#define SERVICES_EDGE_WEBSOCKET_CLOSE_CODES_H_

#include <cstdint>
#include <string_view>

namespace slipstream::edge {

inline constexpr uint16_t kCloseGoingAway = 1001;  // the edge drains; reconnect with the cursor
inline constexpr uint16_t kCloseUnsupportedData = 1003;  // a binary message
inline constexpr uint16_t kCloseBadPayload = 1007;       // not UTF-8
inline constexpr uint16_t kClosePolicy =
    1008;  // malformed JSON, unknown message type, bad cursor or types
inline constexpr uint16_t kCloseTooBig = 1009;  // over max_message_bytes
inline constexpr uint16_t kCloseUnauthenticated =
    4401;                                            // no, a wrong or an expired token or ticket
inline constexpr uint16_t kCloseForbidden = 4403;    // may not subscribe, or another user's refresh
inline constexpr uint16_t kCloseAuthTimeout = 4408;  // no sign-in in time
inline constexpr uint16_t kCloseSlowReader = 4409;  // unread bytes over the bound; resume by cursor
inline constexpr uint16_t kCloseIdle = 4410;        // nothing came, pongs included
inline constexpr uint16_t kCloseTokenExpired = 4419;        // signed in, and the token ran out
inline constexpr uint16_t kCloseTooManyMessages = 4429;     // over max_incoming_per_minute
inline constexpr uint16_t kCloseTooManyConnections = 4430;  // of this edge or this user
inline constexpr uint16_t kCloseUpstream = 4503;  // notifications are unreachable; try again

// Of a SubscriptionEnd's reason.
inline uint16_t CloseCodeOf(std::string_view reason) {
  if (reason == "UNAUTHENTICATED") return kCloseUnauthenticated;
  if (reason == "TOKEN_EXPIRED") return kCloseTokenExpired;
  if (reason == "PERMISSION_DENIED") return kCloseForbidden;
  if (reason == "TOO_MANY_CONNECTIONS") return kCloseTooManyConnections;
  if (reason == "SLOW_READER") return kCloseSlowReader;
  if (reason == "INVALID_CURSOR" || reason == "INVALID_TYPES") return kClosePolicy;
  return kCloseUpstream;
}

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_WEBSOCKET_CLOSE_CODES_H_
