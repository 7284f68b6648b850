// Session cookies (RFC 6265) in Cookie and Set-Cookie headers, in cookie jars, and by the names
// that common frameworks give them.
//
// Thread safety: pure functions.
#ifndef SERVICES_CACHE_SECRETS_COOKIES_H_
#define SERVICES_CACHE_SECRETS_COOKIES_H_

#include "services/cache/secrets/literal.h"

namespace slipstream::cache::secrets {

// For "cookie": the pairs of the header that it may begin.
std::optional<Kind> CheckCookieHeader(const Place& place, Progress& progress);

// For the name of a session cookie, such as "PHPSESSID": its value, wherever it stands.
std::optional<Kind> CheckCookieName(const Place& place, Progress& progress);

}  // namespace slipstream::cache::secrets

#endif  // SERVICES_CACHE_SECRETS_COOKIES_H_
