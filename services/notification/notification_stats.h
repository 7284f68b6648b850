// Presence and figures as messages, and who may see whose.
//
// Thread safety: free functions without state.
#ifndef SERVICES_NOTIFICATION_NOTIFICATION_STATS_H_
#define SERVICES_NOTIFICATION_NOTIFICATION_STATS_H_

#include "absl/status/status.h"
#include "libs/auth/principal.h"
#include "services/notification/notification_engine.h"
#include "slipstream/notification/v1/notification.pb.h"

namespace slipstream::notification {

// Oneself; a tenant administrator users of the tenant; an administrator all.
bool MaySeePresence(const auth::Principal& caller, const UserPresence& presence);

// The node's figures as a whole are open to all who may call. Those of a user: to the user and
// administrators; those of a tenant: to its tenant administrators and administrators.
// PERMISSION_DENIED, reason NOT_YOUR_STATS; INVALID_ARGUMENT when both are asked for.
absl::Status MaySeeStats(const auth::Principal& caller, const v1::GetStatsRequest& request);

v1::GetPresenceResponse::Presence ToProto(const UserPresence& presence);
// Without `store`.
v1::NotificationStats ToProto(const EngineStats& stats);

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_NOTIFICATION_STATS_H_
