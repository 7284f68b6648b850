// What the handlers of the two streams need.
#ifndef SERVICES_NOTIFICATION_STREAM_DEPS_H_
#define SERVICES_NOTIFICATION_STREAM_DEPS_H_

#include <memory>
#include <string>

#include "libs/auth/authenticator.h"
#include "libs/auth/permissions.h"
#include "services/notification/notification_engine.h"

namespace slipstream::notification {

struct StreamDeps {
  NotificationEngine& engine;
  auth::Authenticator& authenticator;
  const auth::PermissionMap& permissions;
  // This node, for the logs of edges.
  std::string node_name;
  int max_subscribers_count = 1000;
};

// Messages that a stream's writer takes at a time.
inline constexpr size_t kTakeCount = 64;

// Ends a link when its stream's handler is left, however that happens.
class LinkOwner {
 public:
  LinkOwner(NotificationEngine& engine, std::shared_ptr<Link> link)
      : engine_(engine), link_(std::move(link)) {}
  ~LinkOwner() { engine_.CloseLink(link_); }
  LinkOwner(const LinkOwner&) = delete;
  LinkOwner& operator=(const LinkOwner&) = delete;

 private:
  NotificationEngine& engine_;
  const std::shared_ptr<Link> link_;
};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_STREAM_DEPS_H_
