// Tokens that their first bytes betray: the prefixes of well-known issuers, JSON Web Tokens (RFC
// 7519) and AWS access keys.
//
// Thread safety: pure functions.
#ifndef SERVICES_CACHE_SECRETS_TOKENS_H_
#define SERVICES_CACHE_SECRETS_TOKENS_H_

#include "services/cache/secrets/literal.h"

namespace slipstream::cache::secrets {

Literals TokenLiterals();

}  // namespace slipstream::cache::secrets

#endif  // SERVICES_CACHE_SECRETS_TOKENS_H_
