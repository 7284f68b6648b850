#include "libs/service/addresses.h"

#include <cstdio>
#include <cstdlib>

#include "slipstream/config/v1/config.pb.h"

namespace slipstream::service {

Addresses AddressesOf(const config::v1::Config& config, std::string_view name) {
  if (name == "cache") return {config.cache().grpc_address(), config.cache().http_address()};
  if (name == "task_queue") {
    return {config.task_queue().grpc_address(), config.task_queue().http_address()};
  }
  if (name == "notification") {
    return {config.notification().grpc_address(), config.notification().http_address()};
  }
  if (name == "database_optimizer") {
    return {config.database_optimizer().grpc_address(), config.database_optimizer().http_address()};
  }
  if (name == "monitoring") {
    return {config.monitoring().grpc_address(), config.monitoring().http_address()};
  }
  if (name == "edge") return {config.edge().grpc_address(), config.edge().admin_http_address()};
  if (name == "worker") return {config.worker().grpc_address(), config.worker().http_address()};
  if (name == "standalone") {
    return {config.standalone().grpc_address(), config.standalone().http_address()};
  }
  std::fprintf(stderr, "no config section is named %s\n", std::string(name).c_str());
  std::abort();
}

}  // namespace slipstream::service
