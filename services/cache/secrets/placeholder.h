// Tells a secret from what stands in a secret's place: masks, variables, examples, types, labels
// and sentences about it.
//
// Thread safety: pure functions.
#ifndef SERVICES_CACHE_SECRETS_PLACEHOLDER_H_
#define SERVICES_CACHE_SECRETS_PLACEHOLDER_H_

#include <string_view>

namespace slipstream::cache::secrets {

// Nothing, a mask, a variable, a type's name, or a word that only marks the place.
bool IsPlaceholder(std::string_view value);

// Several words that speak about something, as a label or a sentence of the documentation does.
bool IsProse(std::string_view value);

// A path, a URL without credentials, or the name of a secret in a secret store.
bool IsReference(std::string_view value);

// Drawn by a machine, as it seems: letters and digits mixed, many different ones, no space.
bool LooksOpaque(std::string_view value, size_t min_bytes);

}  // namespace slipstream::cache::secrets

#endif  // SERVICES_CACHE_SECRETS_PLACEHOLDER_H_
