#include "libs/config/environment.h"

#include <unistd.h>

namespace slipstream::config {

Environment ProcessEnvironment() {
  Environment result;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    result.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return result;
}

bool IsKubernetesServiceLink(std::string_view name, std::string_view value) {
  if (name.ends_with("_SERVICE_HOST") || name.find("_SERVICE_PORT") != std::string_view::npos) {
    return true;
  }
  const bool url =
      value.starts_with("tcp://") || value.starts_with("udp://") || value.starts_with("sctp://");
  if (name.ends_with("_PORT")) return url;
  const std::size_t port = name.find("_PORT_");
  if (port == std::string_view::npos) return false;
  // _PORT_7401_TCP, and that with _ADDR, _PORT or _PROTO.
  const std::string_view rest = name.substr(port + 6);
  const std::size_t digits = rest.find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string_view::npos) return false;
  const std::string_view protocol = rest.substr(digits);
  return protocol.starts_with("_TCP") || protocol.starts_with("_UDP") ||
         protocol.starts_with("_SCTP");
}

}  // namespace slipstream::config
