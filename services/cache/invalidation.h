// What became invalid: as it is applied, kept in a log, sent to other nodes and told to watchers.
//
// Thread safety: plain values. Errors: Decode answers INVALID_ARGUMENT for bytes that Encode did
// not make.
#ifndef SERVICES_CACHE_INVALIDATION_H_
#define SERVICES_CACHE_INVALIDATION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "services/cache/cache_key.h"

namespace slipstream::cache {

// A position in a store's invalidations: grows with each.
using Offset = uint64_t;

struct Invalidation {
  enum Kind : char {
    kKey = 'K',        // the value was deleted or replaced
    kTag = 'T',        // all values with a tag, in some scopes
    kNamespace = 'N',  // all values of a namespace, in some scopes
    kGlob = 'G',       // all values that match
    kEvicted = 'E',    // the value had to give way in a shared tier; copies of it stay true
    kRetired = 'R',    // nothing is left of what the glob at `retired` names
  };
  Kind kind = kKey;
  std::string id;                             // kKey, kEvicted: ScopedKey::id
  std::string user_key;                       // kKey
  std::vector<std::string> tags;              // kTag, kNamespace: ScopedTag::id, one for each scope
  std::shared_ptr<const EntryFilter> filter;  // kGlob
  Offset retired = 0;                         // kRetired

  static Invalidation OfKey(std::string_view id, std::string_view user_key);
  // `kind` is kTag or kNamespace.
  static Invalidation OfTags(Kind kind, absl::Span<const ScopedTag> tags);
  static Invalidation OfGlob(EntryFilter filter);

  std::string Encode() const;
  static absl::StatusOr<Invalidation> Decode(std::string_view bytes);
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_INVALIDATION_H_
