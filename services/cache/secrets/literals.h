// Secrets that a literal betrays: tokens with their issuer's prefix, JWTs, private keys, and the
// names of fields, headers and cookies.
//
// One pass over the text: the three bytes at each position, letters in one case, are looked up in a
// bitmap of all literals' beginnings (8 KiB); what is left is compared and checked where it stands.
//
// Thread safety: all methods, from any thread.
#ifndef SERVICES_CACHE_SECRETS_LITERALS_H_
#define SERVICES_CACHE_SECRETS_LITERALS_H_

#include <optional>
#include <string_view>

#include "services/cache/secrets/finding.h"

namespace slipstream::cache::secrets {

// The first one. Linear in the text: each check looks at a bounded stretch around its literal.
std::optional<Finding> FindLiteral(std::string_view text);

}  // namespace slipstream::cache::secrets

#endif  // SERVICES_CACHE_SECRETS_LITERALS_H_
