// What a field's name says about its value.
//
// Thread safety: pure functions.
#ifndef SERVICES_CACHE_SECRETS_FIELD_NAME_H_
#define SERVICES_CACHE_SECRETS_FIELD_NAME_H_

#include <cstddef>
#include <string_view>

namespace slipstream::cache::secrets {

enum class NameSays {
  kNothing,   // "password_policy", "public_key", "next_page_token"
  kPassword,  // its value is a password or another secret that people choose
  kToken,     // its value is a credential that a machine drew
  kPerhaps,   // a credential when it looks like one: "token", "reset_password"
};

// The name around `word`, which stands at [begin, end) of `text` and is the last word of the name
// as far as letters go: "db_password" around "password".
struct FieldName {
  NameSays says = NameSays::kNothing;
  size_t begin = 0;
  size_t end = 0;
  bool exact = false;  // the word alone, such as "password"
};
FieldName NameAround(std::string_view text, size_t begin, size_t end);

}  // namespace slipstream::cache::secrets

#endif  // SERVICES_CACHE_SECRETS_FIELD_NAME_H_
