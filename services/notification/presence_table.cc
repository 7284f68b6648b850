#include "services/notification/presence_table.h"

namespace slipstream::notification {

void PresenceTable::Connected(const std::string& user, const std::string& tenant, absl::Time now) {
  UserRecord& record = users_[user];
  const bool first = record.connections_count++ == 0;
  if (first) {
    ++connected_users_count_;
    away_.erase({record.last_seen_at, user});
  }
  record.tenant = tenant;
  record.last_seen_at = now;
  if (tenant.empty()) return;
  if (tenants_.size() >= kMaxTenantsCount && !tenants_.contains(tenant)) return;
  TenantRecord& of_tenant = tenants_[tenant];
  ++of_tenant.connections_count;
  if (first) ++of_tenant.users_count;
}

void PresenceTable::Disconnected(const std::string& user, const std::string& tenant,
                                 absl::Time now) {
  auto it = users_.find(user);
  if (it == users_.end()) return;
  UserRecord& record = it->second;
  record.last_seen_at = now;
  const bool last = --record.connections_count == 0;
  if (TenantRecord* of_tenant = FindTenant(tenant); of_tenant != nullptr) {
    --of_tenant->connections_count;
    if (last) --of_tenant->users_count;
  }
  if (!last) return;
  --connected_users_count_;
  away_.insert({now, user});
  if (away_.size() > kMaxAwayCount) ForgetOldest();
}

UserRecord* PresenceTable::FindUser(const std::string& user) {
  auto it = users_.find(user);
  return it == users_.end() ? nullptr : &it->second;
}

TenantRecord* PresenceTable::FindTenant(const std::string& tenant) {
  auto it = tenants_.find(tenant);
  return it == tenants_.end() ? nullptr : &it->second;
}

int PresenceTable::ConnectionsOf(const std::string& user) {
  const UserRecord* record = FindUser(user);
  return record == nullptr ? 0 : record->connections_count;
}

void PresenceTable::Forget(absl::Time now) {
  while (!away_.empty() && away_.begin()->first + remember_ <= now) ForgetOldest();
}

void PresenceTable::ForgetOldest() {
  users_.erase(away_.begin()->second);
  away_.erase(away_.begin());
}

}  // namespace slipstream::notification
