// What of the invalidations a watcher may see, as its messages: those within its scopes, and within
// the namespaces that it asked for.
//
// Thread safety: immutable.
#ifndef SERVICES_CACHE_WATCH_SCOPE_H_
#define SERVICES_CACHE_WATCH_SCOPE_H_

#include <string>
#include <string_view>
#include <vector>

#include "services/cache/invalidation.h"

namespace slipstream::cache {

class WatchScope {
 public:
  // `scopes` as CallerScopes::AllScopes answers them; no `namespaces`: all.
  WatchScope(std::vector<std::string> scopes, std::vector<std::string> namespaces)
      : scopes_(std::move(scopes)), namespaces_(std::move(namespaces)) {}

  // False, and nothing set, for what the watcher is not told.
  bool Put(const Invalidation& what, v1::Invalidation* out) const;

 private:
  bool SeesScope(std::string_view scope) const;
  bool SeesNamespace(std::string_view space) const;
  bool PutTag(const Invalidation& what, v1::Invalidation* out) const;

  const std::vector<std::string> scopes_;
  const std::vector<std::string> namespaces_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_WATCH_SCOPE_H_
