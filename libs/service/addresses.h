// Which addresses a process listens on, by its name.
#ifndef LIBS_SERVICE_ADDRESSES_H_
#define LIBS_SERVICE_ADDRESSES_H_

#include <string>
#include <string_view>

namespace slipstream::config::v1 {
class Config;
}

namespace slipstream::service {

struct Addresses {
  std::string grpc;
  std::string http;  // metrics and health
};

// From the config section `name`. REQUIRES: a section of that name.
Addresses AddressesOf(const config::v1::Config& config, std::string_view name);

}  // namespace slipstream::service

#endif  // LIBS_SERVICE_ADDRESSES_H_
