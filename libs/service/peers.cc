#include "libs/service/peers.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "slipstream/config/v1/config.pb.h"

namespace slipstream::service {

ConfiguredPeers::ConfiguredPeers(const config::v1::Config& config, ServiceToken& token,
                                 logging::Logger logger)
    : token_(token), logger_(std::move(logger)) {
  options_.max_message_bytes = config.rpc().max_message_bytes();
  options_.keepalive_time = absl::Milliseconds(config.rpc().keepalive_time_ms());
  options_.keepalive_timeout = absl::Milliseconds(config.rpc().keepalive_timeout_ms());
  const auto& e = config.endpoints();
  addresses_ = {{"cache", e.cache_address()},
                {"task_queue", e.task_queue_address()},
                {"notification", e.notification_address()},
                {"database_optimizer", e.database_optimizer_address()},
                {"monitoring", e.monitoring_address()},
                {"edge", e.edge_address()},
                {"worker", e.worker_address()}};
}

void ConfiguredPeers::RedirectAll(const std::string& address) {
  sync::MutexLock lock(mutex_);
  for (auto& [service, configured] : addresses_) configured = address;
}

std::shared_ptr<grpc::Channel> ConfiguredPeers::Channel(std::string_view service) {
  sync::MutexLock lock(mutex_);
  auto address = addresses_.find(service);
  if (address == addresses_.end()) {
    std::fprintf(stderr, "no service is named %s\n", std::string(service).c_str());
    std::abort();
  }
  auto& channel = channels_[address->second];
  if (!channel) channel = rpc::MakeChannel(address->second, options_);
  return channel;
}

rpc::CallOptions ConfiguredPeers::OwnCall() const {
  rpc::CallOptions options;
  auto token = token_.Get();
  if (token.ok()) {
    options.bearer_token = *std::move(token);
  } else {
    // The callee refuses the call with TOKEN_MISSING; this line says why there was none.
    logger_.Warning("no service token", {{"error", token.status()}});
  }
  return options;
}

}  // namespace slipstream::service
