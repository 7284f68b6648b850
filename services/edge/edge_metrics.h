// The edge's series: the one table.
#ifndef SERVICES_EDGE_EDGE_METRICS_H_
#define SERVICES_EDGE_EDGE_METRICS_H_

#include "libs/metrics/metric_def.h"

namespace slipstream::edge {

inline constexpr metrics::CounterDef kHttpRequests{
    "slipstream_edge_http_requests_total",
    "HTTP requests answered, by route and status class.",
    {"route", "status"},
    1000};
inline constexpr metrics::HistogramDef kHttpSeconds{
    "slipstream_edge_http_request_seconds",
    "Seconds from a request's headers to the end of its answer; streams are not counted.",
    {"route"},
    metrics::kLatencySeconds};
inline constexpr metrics::GaugeDef kHttpConnections{
    "slipstream_edge_http_connections", "Connections open, WebSocket and SSE included."};
inline constexpr metrics::CounterDef kRefusedConnections{
    "slipstream_edge_refused_connections_total",
    "Connections refused at accept, by whose limit was reached: of their address or of the edge.",
    {"limit"}};
inline constexpr metrics::GaugeDef kWebSocketConnections{"slipstream_edge_websocket_connections",
                                                         "WebSocket connections open."};
inline constexpr metrics::CounterDef kWebSocketCloses{
    "slipstream_edge_websocket_closes_total",
    "WebSocket connections the edge closed, by code.",
    {"code"}};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_EDGE_METRICS_H_
