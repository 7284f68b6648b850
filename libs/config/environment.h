// The process environment: the one place of the suite that reads it.
#ifndef SLIPSTREAM_LIBS_CONFIG_ENVIRONMENT_H_
#define SLIPSTREAM_LIBS_CONFIG_ENVIRONMENT_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace slipstream::config {

using Environment = std::map<std::string, std::string, std::less<>>;

// A copy of the environment. Call it in main(), before threads start.
Environment ProcessEnvironment();

// Whether Kubernetes sets such a variable for a Service whose name starts with "slipstream"
// (SLIPSTREAM_CACHE_SERVICE_HOST, SLIPSTREAM_CACHE_PORT_7401_TCP_ADDR). They are not settings and
// not mistakes.
bool IsKubernetesServiceLink(std::string_view name, std::string_view value);

}  // namespace slipstream::config

#endif  // SLIPSTREAM_LIBS_CONFIG_ENVIRONMENT_H_
