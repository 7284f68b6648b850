#include "services/notification/notification_stats.h"

#include <string>

#include "libs/status/status.h"

namespace slipstream::notification {

namespace {

constexpr char kAdmin[] = "admin";
constexpr char kTenantAdmin[] = "tenant_admin";

}  // namespace

bool MaySeePresence(const auth::Principal& caller, const UserPresence& presence) {
  if (presence.user == caller.user || caller.HasRole(kAdmin)) return true;
  return caller.HasRole(kTenantAdmin) && !caller.tenant.empty() && presence.known &&
         presence.tenant == caller.tenant;
}

absl::Status MaySeeStats(const auth::Principal& caller, const v1::GetStatsRequest& request) {
  if (!request.user().empty() && !request.tenant().empty()) {
    return status::FieldError("tenant", "give `user` or `tenant`, not both");
  }
  if (caller.HasRole(kAdmin)) return absl::OkStatus();
  const bool own_user = request.user().empty() || request.user() == caller.user;
  const bool own_tenant = request.tenant().empty() ||
                          (request.tenant() == caller.tenant && caller.HasRole(kTenantAdmin));
  if (own_user && own_tenant) return absl::OkStatus();
  return status::Error(absl::StatusCode::kPermissionDenied, "NOT_YOUR_STATS",
                       "ask for your own figures, or as tenant_admin for your tenant's");
}

v1::GetPresenceResponse::Presence ToProto(const UserPresence& presence) {
  v1::GetPresenceResponse::Presence out;
  out.set_user(presence.user);
  out.set_online(presence.connections_count > 0);
  out.set_connections_count(presence.connections_count);
  if (presence.last_seen_at) {
    out.mutable_last_seen_at()->set_seconds(absl::ToUnixSeconds(*presence.last_seen_at));
  }
  return out;
}

v1::NotificationStats ToProto(const EngineStats& stats) {
  v1::NotificationStats out;
  const Figures& figures = stats.figures;
  out.mutable_since()->set_seconds(absl::ToUnixSeconds(stats.since));
  out.set_connections_count(stats.connections_count);
  out.set_users_count(stats.users_count);
  for (size_t i = 0; i < kEventTypeCount; ++i) {
    auto& count = *out.add_published();
    count.set_type(std::string(EventTypeName(static_cast<EventType>(i))));
    count.set_count(figures.published[i]);
  }
  out.set_delivered_count(figures.delivered_count);
  out.set_conflated_count(figures.conflated_count);
  out.set_delayed_count(figures.delayed_count);
  out.set_duplicates_count(figures.duplicates_count);
  out.set_recovered_count(figures.recovered_count);
  out.set_not_recovered_count(figures.not_recovered_count);
  for (size_t i = 0; i < kCloseReasonCount; ++i) {
    if (figures.closes[i] == 0) continue;
    auto& count = *out.add_closes();
    count.set_reason(std::string(CloseReasonName(static_cast<CloseReason>(i))));
    count.set_count(figures.closes[i]);
  }
  out.set_held_bytes(stats.history.held_bytes + stats.queue_bytes);
  out.set_degraded(stats.degraded);
  out.set_delivery_p50_ms(absl::ToDoubleMilliseconds(stats.delivery_p50));
  out.set_delivery_p99_ms(absl::ToDoubleMilliseconds(stats.delivery_p99));
  return out;
}

}  // namespace slipstream::notification
