// Every series of a Redis client, whoever has it: the one table. The label `client` is its
// Options.client_name.
#ifndef LIBS_REDIS_REDIS_METRICS_H_
#define LIBS_REDIS_REDIS_METRICS_H_

#include "libs/metrics/metric_def.h"

namespace slipstream::redis {

// clang-format off
inline constexpr metrics::CounterDef kCommandsTotal{
    "slipstream_redis_commands_total", "Commands and scripts handed in.", {"client"}};
inline constexpr metrics::CounterDef kErrorsTotal{
    "slipstream_redis_errors_total", "Commands answered with an error, by cause: timeout, queue_full, not_replicated or other.", {"client", "cause"}};
inline constexpr metrics::CounterDef kWritesTotal{
    "slipstream_redis_writes_total", "Pipelined writes; commands by writes is the mean batch.", {"client"}};
inline constexpr metrics::CounterDef kReconnectsTotal{
    "slipstream_redis_reconnects_total", "Connections made after the first one of each node.", {"client"}};
inline constexpr metrics::CounterDef kRedirectsTotal{
    "slipstream_redis_redirects_total", "MOVED and ASK that were followed.", {"client"}};
inline constexpr metrics::CounterDef kRoundTripsTotal{
    "slipstream_redis_round_trips_total", "Answered commands, by the time from call to answer: above the next smaller up_to_seconds.", {"client", "up_to_seconds"}};
inline constexpr metrics::CounterDef kRoundTripSecondsTotal{
    "slipstream_redis_round_trip_seconds_total", "Time from call to answer of all answered commands together.", {"client"}};
inline constexpr metrics::GaugeDef kPending{
    "slipstream_redis_pending_commands", "Commands queued or unanswered.", {"client"}};
inline constexpr metrics::GaugeDef kNodes{
    "slipstream_redis_nodes", "Primaries that the client talks to, by state: up or down.", {"client", "state"}};
// clang-format on

}  // namespace slipstream::redis

#endif  // LIBS_REDIS_REDIS_METRICS_H_
