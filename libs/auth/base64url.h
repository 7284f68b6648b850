// Strict base64url without padding (RFC 4648 section 5, RFC 7515 section 2). One byte string has
// exactly one encoding here: padding, white space, the standard alphabet's + and /, and non-zero
// trailing bits are refused, so a token cannot be rewritten into another spelling of itself.
//
// Thread safety: pure functions.
#ifndef SLIPSTREAM_LIBS_AUTH_BASE64URL_H_
#define SLIPSTREAM_LIBS_AUTH_BASE64URL_H_

#include <optional>
#include <string>
#include <string_view>

namespace slipstream::auth {

std::optional<std::string> Base64UrlDecode(std::string_view text);
std::string Base64UrlEncode(std::string_view bytes);

}  // namespace slipstream::auth

#endif  // SLIPSTREAM_LIBS_AUTH_BASE64URL_H_
