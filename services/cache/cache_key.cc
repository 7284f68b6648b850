#include "services/cache/cache_key.h"

#include <openssl/evp.h>

#include <array>
#include <memory>

#include "absl/hash/hash.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::cache {

namespace {

// id = scope type:1 space_size:1 space form:1 key, with scope = kind:1 name_size:2 name. Every part
// but the last has its length before it or a fixed one, and the form tells a key from a digest, so
// that two different names never make the same id.
constexpr size_t kScopeHeaderBytes = 3;
constexpr size_t kDigestBytes = 32;

// A key that is no longer than its digest is kept as it is: a hash would cost more than the rest of
// the look-up.
enum KeyForm : char { kVerbatim = 'k', kDigest = 'h' };

constexpr char kTagKind = 'T';
constexpr char kNamespaceKind = 'N';

enum ScopeKind : char { kPublic = 'p', kRole = 'r', kUser = 'u', kTenant = 't' };

std::string MakeScope(ScopeKind kind, std::string_view name) {
  std::string out;
  out.reserve(kScopeHeaderBytes + name.size() + 2 + kMaxNamespaceBytes + 1 + kDigestBytes);
  out += static_cast<char>(kind);
  out += static_cast<char>(name.size() >> 8);
  out += static_cast<char>(name.size() & 0xff);
  out += name;
  return out;
}

std::string_view ScopePrefix(std::string_view id) {
  const size_t name_size =
      static_cast<unsigned char>(id[1]) << 8 | static_cast<unsigned char>(id[2]);
  return id.substr(0, kScopeHeaderBytes + name_size);
}

std::string TagId(char kind, std::string_view scope, std::string_view space,
                  std::string_view tag = {}) {
  std::string id(1, kind);
  id += scope;
  id += static_cast<char>(space.size());
  id += space;
  id += tag;
  return id;
}

void AppendKey(std::string_view key, std::string* id) {
  if (key.size() <= kDigestBytes) {
    *id += static_cast<char>(kVerbatim);
    *id += key;
    return;
  }
  // Of this thread, and the algorithm looked up once: both cost more than the hash of a key.
  struct Hasher {
    std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> sha256{EVP_MD_fetch(nullptr, "SHA256", nullptr),
                                                           EVP_MD_free};
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(),
                                                                    EVP_MD_CTX_free};
  };
  thread_local const Hasher hasher;
  unsigned char digest[kDigestBytes];
  EVP_DigestInit_ex2(hasher.context.get(), hasher.sha256.get(), nullptr);
  EVP_DigestUpdate(hasher.context.get(), key.data(), key.size());
  EVP_DigestFinal_ex(hasher.context.get(), digest, nullptr);
  *id += static_cast<char>(kDigest);
  id->append(reinterpret_cast<const char*>(digest), sizeof(digest));
}

bool IsKeySize(size_t size) { return size > 0 && size <= kMaxKeyBytes; }

absl::Status BadKeySize(FieldPath field) {
  return status::FieldError(field.At("key"), "must be 1-4096 bytes");
}

// `field` names it when it is refused.
template <class Field>
absl::Status CheckNamespace(std::string_view space, Field field) {
  bool ok = !space.empty() && space.size() <= kMaxNamespaceBytes;
  for (const char c : space) {
    ok = ok &&
         (absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_' || c == '.' || c == '-');
  }
  if (ok) return absl::OkStatus();
  return status::FieldError(field(), "must be 1-64 characters of [a-z0-9_.-]");
}

}  // namespace

std::string_view TypeName(Type type) {
  static const auto& names = *new std::array<std::string, kTypeCount>([] {
    std::array<std::string, kTypeCount> out;
    for (size_t i = 0; i < kTypeCount; ++i) {
      out[i] = absl::AsciiStrToLower(v1::CacheKey::Type_Name(static_cast<int>(i)));
    }
    return out;
  }());
  return names[type];
}

std::string FieldPath::At(std::string_view leaf) const {
  std::string out;
  if (list != nullptr) out = absl::StrCat(list, "[", index, "].");
  if (prefix != nullptr) absl::StrAppend(&out, prefix, ".");
  return out.append(leaf);
}

size_t ScopedKey::HashOf(std::string_view id) {
  // Abseil's own kind of view: the standard's would be hashed by the library's slower function,
  // whose seed is the same in every process.
  return absl::HashOf(absl::string_view(id.data(), id.size()));
}

IdParts ParseId(std::string_view id) {
  IdParts out;
  out.scope = ScopePrefix(id);
  id.remove_prefix(out.scope.size());
  out.type = static_cast<Type>(id[0]);
  out.space = id.substr(2, static_cast<unsigned char>(id[1]));
  return out;
}

bool IsKeyId(std::string_view id) {
  if (id.size() < kScopeHeaderBytes) return false;
  const size_t scope_size = ScopePrefix(id).size();
  if (id.size() < scope_size + 2) return false;
  const size_t space_size = static_cast<unsigned char>(id[scope_size + 1]);
  const size_t form_at = scope_size + 2 + space_size;
  if (!v1::CacheKey::Type_IsValid(id[scope_size]) || id.size() < form_at + 2) return false;
  const size_t key_size = id.size() - form_at - 1;
  return id[form_at] == kDigest ? key_size == kDigestBytes
                                : id[form_at] == kVerbatim && key_size <= kDigestBytes;
}

void PutScope(std::string_view scope, v1::CacheKey* key) {
  switch (scope[0]) {
    case kRole:
      key->set_scope(v1::CacheKey::ROLE);
      key->set_role(std::string(scope.substr(kScopeHeaderBytes)));
      break;
    case kUser:
      key->set_scope(v1::CacheKey::USER);
      break;
    case kTenant:
      key->set_scope(v1::CacheKey::TENANT);
      break;
    default:
      key->set_scope(v1::CacheKey::PUBLIC);
  }
}

std::optional<TagParts> ParseTagId(std::string_view id) {
  if (id.empty() || (id[0] != kTagKind && id[0] != kNamespaceKind)) return std::nullopt;
  TagParts out;
  out.whole_namespace = id[0] == kNamespaceKind;
  id.remove_prefix(1);
  if (id.size() < kScopeHeaderBytes) return std::nullopt;
  out.scope = ScopePrefix(id);
  id.remove_prefix(out.scope.size());
  if (id.empty()) return std::nullopt;
  const size_t space_size = static_cast<unsigned char>(id[0]);
  if (id.size() < 1 + space_size) return std::nullopt;
  out.space = id.substr(1, space_size);
  out.tag = id.substr(1 + space_size);
  return out;
}

absl::StatusOr<EntryFilter> EntryFilter::Restore(std::string_view glob, bool all_scopes,
                                                 std::vector<std::string> scopes) {
  auto compiled = Glob::Compile(glob);
  if (!compiled.ok()) return compiled.status();
  EntryFilter out(*std::move(compiled));
  out.all_scopes_ = all_scopes;
  out.scopes_ = std::move(scopes);
  return out;
}

bool EntryFilter::Matches(std::string_view id, std::string_view user_key) const {
  const IdParts parts = ParseId(id);
  if (!all_scopes_) {
    bool mine = false;
    for (const auto& scope : scopes_) mine = mine || scope == parts.scope;
    if (!mine) return false;
  }
  std::string name;
  name.reserve(parts.space.size() + user_key.size() + 20);
  name.append(parts.space).append("/").append(TypeName(parts.type)).append("/").append(user_key);
  return glob_.Matches(name);
}

absl::StatusOr<std::string> CallerScopes::ScopeOf(const KeyParts& key, FieldPath field) const {
  if (key.scope != v1::CacheKey::ROLE && !key.role.empty()) {
    return status::FieldError(field.At("role"), "must be empty unless scope is ROLE");
  }
  switch (key.scope) {
    case v1::CacheKey::PUBLIC:
      return MakeScope(kPublic, {});
    case v1::CacheKey::ROLE:
      if (key.role.empty() || key.role.size() > kMaxRoleBytes) {
        return status::FieldError(field.At("role"), "must be 1-64 characters with scope ROLE");
      }
      if (!principal_.HasRole(key.role)) {
        return status::Error(absl::StatusCode::kPermissionDenied, "ROLE_NOT_HELD",
                             "your token does not have the role that the key names");
      }
      return MakeScope(kRole, key.role);
    case v1::CacheKey::USER:
      if (principal_.user.empty()) {
        return status::Error(absl::StatusCode::kFailedPrecondition, "NO_USER",
                             "scope USER needs a token that names a user");
      }
      return MakeScope(kUser, principal_.user);
    case v1::CacheKey::TENANT:
      if (principal_.tenant.empty()) {
        return status::Error(
            absl::StatusCode::kFailedPrecondition, "NO_TENANT",
            "your token names no tenant; use scope USER or a token with the claim `tenant`");
      }
      return MakeScope(kTenant, principal_.tenant);
    default:
      return status::FieldError(field.At("scope"), "must be PUBLIC, ROLE, USER or TENANT");
  }
}

absl::StatusOr<ScopedKey> CallerScopes::Key(const KeyParts& key, FieldPath field) const {
  absl::Status bad = CheckNamespace(key.space, [&] { return field.At("namespace"); });
  if (!bad.ok()) return bad;
  if (key.type == v1::CacheKey::TYPE_UNSPECIFIED || !v1::CacheKey::Type_IsValid(key.type)) {
    return status::FieldError(field.At("type"), "must be one of the types of CacheKey.Type");
  }
  if (!IsKeySize(key.key.size())) return BadKeySize(field);
  auto scope = ScopeOf(key, field);
  if (!scope.ok()) return scope.status();

  ScopedKey out;
  out.id_ = *std::move(scope);
  out.id_ += static_cast<char>(key.type);
  out.id_ += static_cast<char>(key.space.size());
  out.space_begin_ = static_cast<uint16_t>(out.id_.size());
  out.space_size_ = static_cast<uint16_t>(key.space.size());
  out.id_ += key.space;
  AppendKey(key.key, &out.id_);
  out.hash_ = ScopedKey::HashOf(out.id_);
  out.owner_ = Owner();
  out.type_ = static_cast<Type>(key.type);
  out.user_key_ = key.key;
  return out;
}

uint64_t CallerScopes::Owner() const {
  const bool tenant = !principal_.tenant.empty();
  return absl::HashOf(tenant, tenant ? principal_.tenant : principal_.user) | 1;
}

absl::Status CallerScopes::PutKeyAfter(const ScopedKey& before, const KeyParts& parts_before,
                                       const KeyParts& key, FieldPath field, ScopedKey* out) const {
  if (!key.SameButForKey(parts_before)) {
    auto made = Key(key, field);
    if (!made.ok()) return made.status();
    *out = *std::move(made);
    return absl::OkStatus();
  }
  if (!IsKeySize(key.key.size())) return BadKeySize(field);
  const size_t common = size_t{before.space_begin_} + before.space_size_;
  out->id_.reserve(common + 1 + kDigestBytes);
  out->id_.assign(before.id_, 0, common);
  AppendKey(key.key, &out->id_);
  out->user_key_ = key.key;
  out->hash_ = ScopedKey::HashOf(out->id_);
  out->owner_ = before.owner_;
  out->type_ = before.type_;
  out->space_begin_ = before.space_begin_;
  out->space_size_ = before.space_size_;
  return absl::OkStatus();
}

absl::StatusOr<ScopedKey> CallerScopes::KeyToWrite(const v1::CacheKey& key, FieldPath field) const {
  const bool tenant = key.scope() == v1::CacheKey::TENANT;
  const bool shared = key.scope() == v1::CacheKey::PUBLIC || key.scope() == v1::CacheKey::ROLE;
  if ((tenant && !rights_.tenant) || (shared && !rights_.shared)) {
    const std::string permission = tenant ? kPermissionWriteTenant : kPermissionWriteShared;
    return status::Error(absl::StatusCode::kPermissionDenied, "SHARED_WRITE_DENIED",
                         absl::StrCat("entries that others read are written with the permission ",
                                      permission, "; use scope USER"),
                         {{"permission", permission}, {"field", field.At("scope")}});
  }
  return Key(key, field);
}

std::vector<std::string> CallerScopes::Scopes(WriteRights rights) const {
  std::vector<std::string> out;
  if (rights.shared) {
    out.push_back(MakeScope(kPublic, {}));
    for (const auto& role : principal_.roles) {
      if (role.size() <= kMaxRoleBytes) out.push_back(MakeScope(kRole, role));
    }
  }
  if (!principal_.user.empty()) out.push_back(MakeScope(kUser, principal_.user));
  if (rights.tenant && !principal_.tenant.empty()) {
    out.push_back(MakeScope(kTenant, principal_.tenant));
  }
  return out;
}

absl::StatusOr<std::vector<ScopedTag>> CallerScopes::Tags(std::string_view space,
                                                          std::string_view tag) const {
  if (absl::Status bad = CheckNamespace(space, [] { return "tag.namespace"; }); !bad.ok())
    return bad;
  if (tag.empty() || tag.size() > kMaxTagBytes) {
    return status::FieldError("tag.tag", "must be 1-128 bytes");
  }
  std::vector<ScopedTag> out;
  for (const auto& scope : Scopes(rights_))
    out.push_back(ScopedTag(TagId(kTagKind, scope, space, tag)));
  return out;
}

absl::StatusOr<std::vector<ScopedTag>> CallerScopes::Namespace(std::string_view space) const {
  if (absl::Status bad = CheckNamespace(space, [] { return "namespace"; }); !bad.ok()) return bad;
  std::vector<ScopedTag> out;
  for (const auto& scope : Scopes(rights_))
    out.push_back(ScopedTag(TagId(kNamespaceKind, scope, space)));
  return out;
}

absl::StatusOr<EntryFilter> CallerScopes::Matching(std::string_view glob) const {
  auto compiled = Glob::Compile(glob);
  if (!compiled.ok()) {
    return status::FieldError("glob", compiled.status().message());
  }
  EntryFilter out(*std::move(compiled));
  out.scopes_ = Scopes(rights_);
  return out;
}

absl::StatusOr<EntryFilter> CallerScopes::MatchingInAllScopes(std::string_view glob) {
  auto compiled = Glob::Compile(glob);
  if (!compiled.ok()) {
    return status::FieldError("pattern", compiled.status().message());
  }
  EntryFilter out(*std::move(compiled));
  out.all_scopes_ = true;
  return out;
}

ScopedTag CallerScopes::TagOf(const ScopedKey& key, std::string_view tag) {
  return ScopedTag(TagId(kTagKind, ScopePrefix(key.id()), key.space(), tag));
}

ScopedTag CallerScopes::NamespaceOf(const ScopedKey& key) {
  return ScopedTag(TagId(kNamespaceKind, ScopePrefix(key.id()), key.space()));
}

}  // namespace slipstream::cache
