// Names of cached values, built from the verified token.
//
// CallerScopes is the only maker of ScopedKey, ScopedTag and EntryFilter, and it is made from a
// Principal alone. The store takes nothing else, so no call can name an entry outside the scopes of
// its caller, whatever bytes its key has: scope and namespace stand in the id as they are, each
// after its length, and the caller's own key comes last, as its SHA-256 when it is long.
//
// What comes back from a store or another node was made by one there (EntryFilter::Restore,
// IsKeyId).
//
// Thread safety: immutable values. Errors: INVALID_ARGUMENT (reason INVALID_FIELD, names the
// field), PERMISSION_DENIED (ROLE_NOT_HELD, SHARED_WRITE_DENIED), FAILED_PRECONDITION (NO_TENANT,
// NO_USER).
#ifndef SERVICES_CACHE_CACHE_KEY_H_
#define SERVICES_CACHE_CACHE_KEY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/auth/principal.h"
#include "services/cache/glob.h"
#include "slipstream/cache/v1/cache.pb.h"

namespace slipstream::cache {

using Type = v1::CacheKey::Type;

inline constexpr size_t kTypeCount = v1::CacheKey::Type_ARRAYSIZE;  // the unspecified one included
// To write what others read: see WriteRights.
inline constexpr char kPermissionWriteShared[] = "cache.write_shared";
inline constexpr char kPermissionWriteTenant[] = "cache.write_tenant";

inline constexpr size_t kMaxKeyBytes = 4096;
inline constexpr size_t kMaxNamespaceBytes = 64;
inline constexpr size_t kMaxRoleBytes = 64;
inline constexpr size_t kMaxTagBytes = 128;
inline constexpr size_t kMaxTagsCount = 16;

// "search_results"; as in globs and metric labels.
std::string_view TypeName(Type type);

// Where in a request a message stands, for errors: "key.role", "keys[3].role" or
// "entries[3].key.role".
struct FieldPath {
  const char* list = nullptr;
  int index = 0;
  const char* prefix = nullptr;
  std::string At(std::string_view leaf) const;
};

// What a request says of a key, wherever it was read from.
struct KeyParts {
  std::string_view space;  // its namespace
  int type = 0;            // of CacheKey.Type, and `scope` of CacheKey.Scope; any number
  int scope = 0;
  std::string_view role;
  std::string_view key;

  static KeyParts Of(const v1::CacheKey& key) {
    return {key.namespace_(), key.type(), key.scope(), key.role(), key.key()};
  }
  bool SameButForKey(const KeyParts& other) const {
    return space == other.space && type == other.type && scope == other.scope && role == other.role;
  }
};

class ScopedKey {
 public:
  // Identifies the entry: scope, type and namespace verbatim, then the caller's key or its digest.
  const std::string& id() const { return id_; }
  size_t hash() const { return hash_; }
  // hash() of the key with this id, in this process.
  static size_t HashOf(std::string_view id);
  Type type() const { return type_; }
  std::string_view space() const { return std::string_view(id_).substr(space_begin_, space_size_); }
  // Whose quota an entry stored under it counts to: the caller's tenant, or the caller's user when
  // there is none, whatever the scope. A hash; not 0.
  uint64_t owner() const { return owner_; }
  // The caller's own bytes; a view into the request it was made from, which must outlive it.
  std::string_view user_key() const { return user_key_; }

 private:
  friend class CallerScopes;
  ScopedKey() = default;
  std::string id_;
  std::string_view user_key_;
  size_t hash_ = 0;
  uint64_t owner_ = 0;
  Type type_ = v1::CacheKey::TYPE_UNSPECIFIED;
  uint16_t space_begin_ = 0;
  uint16_t space_size_ = 0;
};

// A tag, or a whole namespace, within one scope: what an entry can be invalidated by.
class ScopedTag {
 public:
  const std::string& id() const { return id_; }

 private:
  friend class CallerScopes;
  explicit ScopedTag(std::string id) : id_(std::move(id)) {}
  std::string id_;
};

// What an entry's id says.
struct IdParts {
  std::string_view scope;  // whose it is: kind, length and name
  Type type;
  std::string_view space;
};
// REQUIRES: `id` comes from a ScopedKey, or IsKeyId.
IdParts ParseId(std::string_view id);
// Whether bytes that came from elsewhere have the form of a ScopedKey's id.
bool IsKeyId(std::string_view id);

// Sets scope and role of a key as the one whose scope it is would name them.
void PutScope(std::string_view scope, v1::CacheKey* key);

// What a tag's id says.
struct TagParts {
  bool whole_namespace = false;  // then `tag` is empty
  std::string_view scope;
  std::string_view space;
  std::string_view tag;
};
// Nullopt for bytes that are not a ScopedTag's id.
std::optional<TagParts> ParseTagId(std::string_view id);

// The entries of some scopes that match a glob over "namespace/type/key".
class EntryFilter {
 public:
  bool Matches(std::string_view id, std::string_view user_key) const;

  std::string_view glob() const { return glob_.pattern(); }
  bool all_scopes() const { return all_scopes_; }
  const std::vector<std::string>& scopes() const { return scopes_; }
  // One that a CallerScopes made on another node. INVALID_ARGUMENT for a bad glob.
  static absl::StatusOr<EntryFilter> Restore(std::string_view glob, bool all_scopes,
                                             std::vector<std::string> scopes);

 private:
  friend class CallerScopes;
  explicit EntryFilter(Glob glob) : glob_(std::move(glob)) {}
  const Glob glob_;
  bool all_scopes_ = false;
  std::vector<std::string> scopes_;
};

// Which entries beside its own user's a caller may write and make invalid. Who may not could
// otherwise put words into what others read.
struct WriteRights {
  bool shared = false;  // PUBLIC, and ROLE for roles that it has
  bool tenant = false;  // TENANT, for its own
};

class CallerScopes {
 public:
  // `principal` outlives it. `rights` limit KeyToWrite, Tags, Namespace and Matching.
  explicit CallerScopes(const auth::Principal& principal, WriteRights rights = {true, true})
      : principal_(principal), rights_(rights) {}

  // The answer holds a view of `key`.
  absl::StatusOr<ScopedKey> Key(const KeyParts& key, FieldPath field = {}) const;
  absl::StatusOr<ScopedKey> Key(const v1::CacheKey& key, FieldPath field = {}) const {
    return Key(KeyParts::Of(key), field);
  }
  absl::StatusOr<ScopedKey> Key(v1::CacheKey&& key, FieldPath field = {}) const = delete;

  // The same for a key of which only `key` differs from that of `before`, made here of
  // `parts_before`: all else was checked and is taken over. Others as by Key. Into `out`, any other
  // key, whose memory is used again; it is undefined after an error.
  absl::Status PutKeyAfter(const ScopedKey& before, const KeyParts& parts_before,
                           const KeyParts& key, FieldPath field, ScopedKey* out) const;

  // Key for a write. Errors also: PERMISSION_DENIED (SHARED_WRITE_DENIED).
  absl::StatusOr<ScopedKey> KeyToWrite(const v1::CacheKey& key, FieldPath field = {}) const;
  absl::StatusOr<ScopedKey> KeyToWrite(v1::CacheKey&& key, FieldPath field = {}) const = delete;

  // The tag in each of the scopes that the caller may write.
  absl::StatusOr<std::vector<ScopedTag>> Tags(std::string_view space, std::string_view tag) const;
  // The namespace in each of them.
  absl::StatusOr<std::vector<ScopedTag>> Namespace(std::string_view space) const;
  // What of them matches.
  absl::StatusOr<EntryFilter> Matching(std::string_view glob) const;

  // Every scope: for Clear, whose permission is the administrators'.
  static absl::StatusOr<EntryFilter> MatchingInAllScopes(std::string_view glob);

  // The tag, and the namespace, that an entry under `key` is stored with.
  static ScopedTag TagOf(const ScopedKey& key, std::string_view tag);
  static ScopedTag NamespaceOf(const ScopedKey& key);

  // Every scope that the caller may read, as IdParts and TagParts show them.
  std::vector<std::string> AllScopes() const { return Scopes({true, true}); }

 private:
  std::vector<std::string> Scopes(WriteRights rights) const;
  absl::StatusOr<std::string> ScopeOf(const KeyParts& key, FieldPath field) const;

  uint64_t Owner() const;

  const auth::Principal& principal_;
  const WriteRights rights_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_CACHE_KEY_H_
