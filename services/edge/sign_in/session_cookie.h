// The cookie by which a browser's EventSource signs in: it can set no header.
//
// It holds the token itself, so every edge takes it and it ends with the token. HttpOnly keeps
// scripts from reading it, SameSite=Strict keeps other sites from using it, and the edge takes it
// for GETs that stream alone, which change nothing.
//
// Thread safety: pure functions.
#ifndef SERVICES_EDGE_SIGN_IN_SESSION_COOKIE_H_
#define SERVICES_EDGE_SIGN_IN_SESSION_COOKIE_H_

#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace slipstream::edge {

// Browsers keep cookies of at most 4,096 bytes, name and attributes included.
inline constexpr size_t kMaxSessionTokenBytes = 3800;

// Value of Set-Cookie. `secure`: the browser came by https.
std::string SessionCookie(std::string_view token, absl::Duration lifetime, bool secure);
// The token in a Cookie header, or empty.
std::string_view SessionToken(std::string_view cookies);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_SIGN_IN_SESSION_COOKIE_H_
