#include "services/cache/watch_scope.h"

#include <algorithm>

namespace slipstream::cache {

bool WatchScope::SeesScope(std::string_view scope) const {
  return std::find(scopes_.begin(), scopes_.end(), scope) != scopes_.end();
}

bool WatchScope::SeesNamespace(std::string_view space) const {
  return namespaces_.empty() ||
         std::find(namespaces_.begin(), namespaces_.end(), space) != namespaces_.end();
}

bool WatchScope::PutTag(const Invalidation& what, v1::Invalidation* out) const {
  for (const auto& id : what.tags) {
    const auto parts = ParseTagId(id);
    if (!parts || !SeesScope(parts->scope) || !SeesNamespace(parts->space)) continue;
    if (parts->whole_namespace) {
      out->set_namespace_(std::string(parts->space));
    } else {
      out->mutable_tag()->set_namespace_(std::string(parts->space));
      out->mutable_tag()->set_tag(std::string(parts->tag));
    }
    return true;
  }
  return false;
}

bool WatchScope::Put(const Invalidation& what, v1::Invalidation* out) const {
  switch (what.kind) {
    case Invalidation::kKey: {
      const IdParts parts = ParseId(what.id);
      if (!SeesScope(parts.scope) || !SeesNamespace(parts.space)) return false;
      v1::CacheKey* key = out->mutable_key();
      key->set_namespace_(std::string(parts.space));
      key->set_type(parts.type);
      PutScope(parts.scope, key);
      key->set_key(what.user_key);
      return true;
    }
    case Invalidation::kTag:
    case Invalidation::kNamespace:
      return PutTag(what, out);
    case Invalidation::kGlob: {
      // Of whichever namespace: a glob names its own.
      const auto& theirs = what.filter->scopes();
      const bool common =
          what.filter->all_scopes() ||
          std::any_of(theirs.begin(), theirs.end(), [this](const auto& s) { return SeesScope(s); });
      if (common) out->set_glob(std::string(what.filter->glob()));
      return common;
    }
    case Invalidation::kEvicted:
    case Invalidation::kRetired:
      return false;
  }
  return false;
}

}  // namespace slipstream::cache
