// Keys for the tests of stores.
#ifndef SERVICES_CACHE_CONTRACT_KEYS_H_
#define SERVICES_CACHE_CONTRACT_KEYS_H_

#include <memory>
#include <string>

#include "services/cache/cache_key.h"

namespace slipstream::cache {

inline auth::Principal ContractUser(std::string user) {
  auth::Principal out;
  out.user = std::move(user);
  out.roles = {"user"};
  return out;
}

// A key together with the request it is a view of.
struct OwnedKey {
  explicit OwnedKey(const std::string& text, const std::string& user = "alice",
                    const std::string& space = "shop")
      : asked(std::make_unique<v1::CacheKey>()) {
    asked->set_namespace_(space);
    asked->set_type(v1::CacheKey::SEARCH_RESULTS);
    asked->set_scope(v1::CacheKey::USER);
    asked->set_key(text);
    key = std::make_unique<ScopedKey>(*CallerScopes(ContractUser(user)).Key(*asked));
  }
  operator const ScopedKey&() const { return *key; }
  std::unique_ptr<v1::CacheKey> asked;
  std::unique_ptr<ScopedKey> key;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_CONTRACT_KEYS_H_
