// Private keys: PEM and its relatives (RFC 7468, OpenSSH, PGP), PuTTY's files, JSON Web Keys (RFC
// 7517). A marker without key material after it, as documentation has it, is none; nor is a public
// key or a certificate.
//
// Thread safety: pure functions.
#ifndef SERVICES_CACHE_SECRETS_KEYS_H_
#define SERVICES_CACHE_SECRETS_KEYS_H_

#include "services/cache/secrets/literal.h"

namespace slipstream::cache::secrets {

Literals KeyLiterals();

}  // namespace slipstream::cache::secrets

#endif  // SERVICES_CACHE_SECRETS_KEYS_H_
