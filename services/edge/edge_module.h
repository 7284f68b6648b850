// The edge as its process sees it: REST, SSE and WebSocket in front of all other services.
#ifndef SERVICES_EDGE_EDGE_MODULE_H_
#define SERVICES_EDGE_EDGE_MODULE_H_

#include "libs/service/module.h"

namespace slipstream::edge {

absl::StatusOr<std::unique_ptr<service::Module>> MakeEdgeModule(service::Context& context);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_EDGE_MODULE_H_
