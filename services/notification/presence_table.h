// Who is connected to this node, who was, and what was counted for them.
//
// Bounds: users that are away are forgotten after `remember` and beyond kMaxAwayCount, oldest
// first; connected ones are bounded by the node's subscribers, tenants by kMaxTenantsCount (further
// ones are served but not counted).
// Thread safety: none; the engine's lock guards it.
#ifndef SERVICES_NOTIFICATION_PRESENCE_TABLE_H_
#define SERVICES_NOTIFICATION_PRESENCE_TABLE_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/time/time.h"
#include "services/notification/figures.h"

namespace slipstream::notification {

struct UserRecord {
  std::string tenant;  // of the latest connection
  int connections_count = 0;
  absl::Time last_seen_at;
  // What of the rate of messages was spent at `rate_at`; it comes back with time.
  double rate_spent = 0;
  absl::Time rate_at;
  Figures figures;
};

struct TenantRecord {
  int connections_count = 0;
  int users_count = 0;
  Figures figures;
};

class PresenceTable {
 public:
  static constexpr size_t kMaxAwayCount = 100'000;
  static constexpr size_t kMaxTenantsCount = 10'000;

  explicit PresenceTable(absl::Duration remember) : remember_(remember) {}

  void Connected(const std::string& user, const std::string& tenant, absl::Time now);
  void Disconnected(const std::string& user, const std::string& tenant, absl::Time now);

  // Null when nothing is known. Valid until the next call that is not const.
  UserRecord* FindUser(const std::string& user);
  TenantRecord* FindTenant(const std::string& tenant);
  int ConnectionsOf(const std::string& user);
  int64_t connected_users_count() const { return connected_users_count_; }

  void Forget(absl::Time now);

 private:
  void ForgetOldest();

  const absl::Duration remember_;
  std::unordered_map<std::string, UserRecord> users_;
  std::unordered_map<std::string, TenantRecord> tenants_;
  std::set<std::pair<absl::Time, std::string>> away_;  // by last_seen_at
  int64_t connected_users_count_ = 0;
};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_PRESENCE_TABLE_H_
