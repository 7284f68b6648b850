// The channels of one process to the other services.
#ifndef LIBS_SERVICE_PEERS_H_
#define LIBS_SERVICE_PEERS_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "libs/logging/logger.h"
#include "libs/rpc/channel.h"
#include "libs/service/context.h"
#include "libs/service/service_token.h"
#include "libs/sync/mutex.h"

namespace slipstream::config::v1 {
class Config;
}

namespace slipstream::service {

class ConfiguredPeers final : public Peers {
 public:
  ConfiguredPeers(const config::v1::Config& config, ServiceToken& token, logging::Logger logger);

  // From now on every service is reached at `address`: this process serves them all itself.
  void RedirectAll(const std::string& address);

  std::shared_ptr<grpc::Channel> Channel(std::string_view service) override;
  rpc::CallOptions OwnCall() const override;

 private:
  ServiceToken& token_;
  const logging::Logger logger_;
  rpc::ChannelOptions options_;
  sync::Mutex mutex_;
  std::map<std::string, std::string, std::less<>> addresses_ ABSL_GUARDED_BY(mutex_);
  // By address: services behind one address share a connection.
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::service

#endif  // LIBS_SERVICE_PEERS_H_
