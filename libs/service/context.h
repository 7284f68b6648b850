// What a process gives its modules. Everything here outlives them.
#ifndef LIBS_SERVICE_CONTEXT_H_
#define LIBS_SERVICE_CONTEXT_H_

#include <memory>
#include <string>
#include <string_view>

#include "libs/async/runtime.h"
#include "libs/audit/audit_log.h"
#include "libs/auth/authenticator.h"
#include "libs/auth/permissions.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/metrics/registry.h"
#include "libs/random/random.h"
#include "libs/rpc/call_options.h"
#include "libs/rpc/dispatcher.h"

namespace grpc {
class Channel;
}
namespace slipstream::config::v1 {
class Config;
}

namespace slipstream::service {

class MonitoringReporter;

// How a process reaches the other services.
class Peers {
 public:
  virtual ~Peers() = default;
  // `service` is "cache", "task_queue", "notification", "database_optimizer", "monitoring", "edge"
  // or "worker". Call it from Start() on, not from a module's constructor: in the standalone binary
  // the address is known only then. Channels are made once and shared; connecting is lazy.
  virtual std::shared_ptr<grpc::Channel> Channel(std::string_view service) = 0;
  // A call in the service's own name: its service token, a 10 s timeout.
  virtual rpc::CallOptions OwnCall() const = 0;
  // The same on behalf of a user (service role with auth.act_as).
  rpc::CallOptions CallFor(std::string user, std::string tenant) const {
    rpc::CallOptions options = OwnCall();
    options.act_as_user = std::move(user);
    options.act_as_tenant = std::move(tenant);
    return options;
  }
};

struct Context {
  const config::v1::Config& config;
  const clock::Clock& clock;
  random::Random& random;
  logging::Logger logger;
  metrics::Registry& metrics;
  async::Runtime& runtime;
  const rpc::Dispatcher& dispatcher;
  auth::Authenticator& authenticator;
  const auth::PermissionMap& permissions;
  audit::AuditLog& audit;
  Peers& peers;
  MonitoringReporter& reporter;
};

}  // namespace slipstream::service

#endif  // LIBS_SERVICE_CONTEXT_H_
