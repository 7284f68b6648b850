// The series of every gRPC server of the suite: the one table.
#ifndef LIBS_RPC_RPC_METRICS_H_
#define LIBS_RPC_RPC_METRICS_H_

#include <string_view>

#include "libs/metrics/metric_def.h"

namespace slipstream::rpc {

inline constexpr metrics::CounterDef kServerStarted{"grpc_server_started_total",
                                                    "Calls started, refused ones included.",
                                                    {"grpc_type", "grpc_service", "grpc_method"}};
inline constexpr metrics::CounterDef kServerHandled{
    "grpc_server_handled_total",
    "Calls ended, by status code.",
    {"grpc_type", "grpc_service", "grpc_method", "grpc_code"},
    5000};
inline constexpr metrics::HistogramDef kServerHandlingSeconds{
    "grpc_server_handling_seconds",
    "Seconds from the start of a call to its status.",
    {"grpc_type", "grpc_service", "grpc_method"},
    metrics::kLatencySeconds};

// Values of grpc_code, by status code 0 to 16, as go-grpc-prometheus spells them.
inline constexpr std::string_view kCodeNames[17] = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_RPC_METRICS_H_
