// Secrets under a telling name: fields of JSON, forms, YAML, ini, XML and command lines, the
// headers Authorization and Cookie, and passwords in URLs.
//
// Thread safety: pure functions.
#ifndef SERVICES_CACHE_SECRETS_FIELDS_H_
#define SERVICES_CACHE_SECRETS_FIELDS_H_

#include "services/cache/secrets/literal.h"

namespace slipstream::cache::secrets {

Literals FieldLiterals();

}  // namespace slipstream::cache::secrets

#endif  // SERVICES_CACHE_SECRETS_FIELDS_H_
