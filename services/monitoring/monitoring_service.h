// slipstream.monitoring.v1.MonitoringService over the engine and the process's audit log.
//
// Thread safety: the handlers run on any thread, inline: all is in memory.
#ifndef SERVICES_MONITORING_MONITORING_SERVICE_H_
#define SERVICES_MONITORING_MONITORING_SERVICE_H_

#include <memory>

#include "libs/audit/audit_log.h"
#include "libs/metrics/registry.h"
#include "libs/page_token/page_token.h"
#include "libs/rpc/dispatcher.h"
#include "services/monitoring/monitoring_engine.h"

namespace grpc {
class Service;
}

namespace slipstream::monitoring {

class MonitoringService {
 public:
  struct Deps {
    MonitoringEngine& engine;
    audit::AuditLog& audit;
    metrics::Registry& metrics;
    const rpc::Dispatcher& dispatcher;
    // A listing's position is a number of this process's log, so the secret may be its own too: a
    // token from before a restart is refused instead of leading to another page.
    page_token::PageTokens page_tokens;
  };
  explicit MonitoringService(Deps deps);
  ~MonitoringService();

  grpc::Service* grpc();

 private:
  class Adapter;
  std::unique_ptr<Adapter> adapter_;
};

}  // namespace slipstream::monitoring

#endif  // SERVICES_MONITORING_MONITORING_SERVICE_H_
