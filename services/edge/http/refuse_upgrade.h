// Answers a WebSocket handshake with a plain HTTP response and ends the connection.
#ifndef SERVICES_EDGE_HTTP_REFUSE_UPGRADE_H_
#define SERVICES_EDGE_HTTP_REFUSE_UPGRADE_H_

#include "libs/async/async.h"
#include "services/edge/http/exchange.h"
#include "services/edge/http/upgrade.h"

namespace slipstream::edge {

Async<void> RefuseUpgrade(UpgradeRequest request, HttpResponse response);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_HTTP_REFUSE_UPGRADE_H_
