// What each role may do. An RPC names the permission it needs (a proto option); a role holds
// permissions by name ("tasks.submit") or by wildcard ("tasks.*", "*"). Wildcards exist in this map
// alone: a permission asked for is always one plain name.
//
// `auth.act_as`, which lets a service speak for any user, is never given by a wildcard: a role has
// it only by its full name. So an admin, who holds "*", still cannot act under another user's name.
//
// Thread safety: immutable after Create; Check may run on any number of threads.
#ifndef SLIPSTREAM_LIBS_AUTH_PERMISSIONS_H_
#define SLIPSTREAM_LIBS_AUTH_PERMISSIONS_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/auth/principal.h"

namespace slipstream::auth {

inline constexpr char kRoleUser[] = "user";
inline constexpr char kRoleTenantAdmin[] = "tenant_admin";
inline constexpr char kRoleAdmin[] = "admin";
inline constexpr char kRoleService[] = "service";

inline constexpr char kPermissionActAs[] = "auth.act_as";

// Role -> permissions.
using RolePermissions = std::map<std::string, std::vector<std::string>>;

// user, tenant_admin, admin and service as shipped; the same as the default of the setting
// auth.roles (slipstream.config.v1), which is what a server uses.
RolePermissions DefaultRolePermissions();

// The defaults, with each role of `overrides` replaced whole (an empty list takes everything from
// it) and new roles added.
RolePermissions DefaultsWith(const RolePermissions& overrides);

class PermissionMap {
 public:
  // The mapping as given. Errors: INVALID_ARGUMENT naming the role when an entry is not a
  // permission.
  static absl::StatusOr<PermissionMap> Create(
      const RolePermissions& mapping = DefaultRolePermissions());

  bool Allows(const Principal& principal, std::string_view permission) const;

  // The roles that have the permission, by name: a principal is allowed what one of its roles is.
  std::vector<std::string> RolesWith(std::string_view permission) const;

  // OK, or PERMISSION_DENIED with reason PERMISSION_DENIED and metadata `permission`.
  absl::Status Check(const Principal& principal, std::string_view permission) const;

 private:
  struct Role {
    bool holds_all = false;
    absl::flat_hash_set<std::string> names;
    absl::flat_hash_set<std::string> prefixes;  // of wildcards, with the dot: "tasks."
  };

  static bool RoleAllows(const Role& role, std::string_view permission);

  absl::flat_hash_map<std::string, Role> roles_;
};

}  // namespace slipstream::auth

#endif  // SLIPSTREAM_LIBS_AUTH_PERMISSIONS_H_
