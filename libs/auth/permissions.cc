#include "libs/auth/permissions.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/string_view.h"
#include "libs/auth/claim_text.h"
#include "libs/auth/reasons.h"
#include "libs/status/status.h"

namespace slipstream::auth {
namespace {

constexpr size_t kMaxPermissionBytes = 64;

bool IsSegment(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// "tasks.submit", "tasks.queue.pause": two segments or more.
bool IsPermissionName(std::string_view text) {
  if (text.size() > kMaxPermissionBytes) return false;
  size_t segment_count = 0;
  for (size_t start = 0; start <= text.size(); ++segment_count) {
    const size_t end = std::min(text.find('.', start), text.size());
    if (!IsSegment(text.substr(start, end - start))) return false;
    start = end + 1;
  }
  return segment_count >= 2;
}

// "tasks." of "tasks.*"; nothing when `text` is no such wildcard.
std::optional<std::string_view> WildcardPrefix(std::string_view text) {
  if (!text.ends_with(".*")) return std::nullopt;
  const std::string_view prefix = text.substr(0, text.size() - 1);
  const std::string_view name = prefix.substr(0, prefix.size() - 1);
  if (!IsSegment(name) && !IsPermissionName(name)) return std::nullopt;
  return prefix;
}

// string_view look-up in Abseil's sets, whose string_view is another type.
absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

RolePermissions DefaultRolePermissions() {
  const std::vector<std::string> user = {"tasks.submit",    "tasks.read",
                                         "tasks.cancel",    "cache.read",
                                         "cache.write",     "notifications.subscribe",
                                         "artifacts.read",  "artifacts.write",
                                         "monitoring.read", "database_optimizer.read",
                                         "budget.read",     "schedule.read",
                                         "schedule.write",  "webhook.read",
                                         "webhook.write"};
  std::vector<std::string> tenant_admin = user;
  tenant_admin.push_back("cache.write_tenant");
  return {{kRoleUser, user},
          {kRoleTenantAdmin, tenant_admin},
          {kRoleAdmin, {"*"}},
          {kRoleService,
           {"artifacts.read",
            "artifacts.work",
            "artifacts.write",
            kPermissionActAs,
            "budget.read",
            "cache.read",
            "cache.write",
            "cache.write_shared",
            "cache.write_tenant",
            "database_optimizer.read",
            "database_optimizer.service",
            "monitoring.read",
            "monitoring.service",
            "notifications.attach",
            "notifications.broadcast",
            "notifications.publish",
            "notifications.subscribe",
            "tasks.cancel",
            "tasks.read",
            "tasks.submit",
            "tasks.work"}}};
}

RolePermissions DefaultsWith(const RolePermissions& overrides) {
  RolePermissions mapping = DefaultRolePermissions();
  for (const auto& [role, permissions] : overrides) mapping[role] = permissions;
  return mapping;
}

absl::StatusOr<PermissionMap> PermissionMap::Create(const RolePermissions& mapping) {
  PermissionMap map;
  for (const auto& [name, permissions] : mapping) {
    if (!IsClaimText(name, kMaxRoleBytes)) {
      return status::FieldError("roles", "a role's name has 1-64 bytes without control characters");
    }
    Role role;
    for (const std::string& permission : permissions) {
      if (permission == "*") {
        role.holds_all = true;
      } else if (const auto prefix = WildcardPrefix(permission)) {
        role.prefixes.insert(std::string(*prefix));
      } else if (IsPermissionName(permission)) {
        role.names.insert(permission);
      } else {
        return status::FieldError(
            "roles." + name,
            "'" + permission + "' is not a permission; write a name like tasks.submit, or tasks.*");
      }
    }
    map.roles_.emplace(name, std::move(role));
  }
  return map;
}

bool PermissionMap::RoleAllows(const Role& role, std::string_view permission) {
  if (role.names.contains(View(permission))) return true;
  if (permission == kPermissionActAs) return false;
  if (role.holds_all) return true;
  if (role.prefixes.empty()) return false;
  for (size_t dot = permission.find('.'); dot != std::string_view::npos;
       dot = permission.find('.', dot + 1)) {
    if (role.prefixes.contains(View(permission.substr(0, dot + 1)))) return true;
  }
  return false;
}

bool PermissionMap::Allows(const Principal& principal, std::string_view permission) const {
  if (!IsPermissionName(permission)) return false;
  return std::any_of(principal.roles.begin(), principal.roles.end(), [&](const std::string& name) {
    const auto role = roles_.find(name);
    return role != roles_.end() && RoleAllows(role->second, permission);
  });
}

std::vector<std::string> PermissionMap::RolesWith(std::string_view permission) const {
  std::vector<std::string> out;
  if (!IsPermissionName(permission)) return out;
  for (const auto& [name, role] : roles_) {
    if (RoleAllows(role, permission)) out.push_back(name);
  }
  std::sort(out.begin(), out.end());
  return out;
}

absl::Status PermissionMap::Check(const Principal& principal, std::string_view permission) const {
  if (Allows(principal, permission)) return absl::OkStatus();
  const std::string name(permission);
  return status::Error(absl::StatusCode::kPermissionDenied, kPermissionDenied,
                       "this needs the permission '" + name +
                           "', which none of your roles has; ask an administrator for a role that "
                           "has it",
                       {{"permission", name}});
}

}  // namespace slipstream::auth
