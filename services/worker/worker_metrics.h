// The one table of the worker's series.
#ifndef SERVICES_WORKER_WORKER_METRICS_H_
#define SERVICES_WORKER_WORKER_METRICS_H_

#include "libs/metrics/metric_def.h"

namespace slipstream::worker {

inline constexpr metrics::CounterDef kAttempts{
    "slipstream_worker_attempts_total",
    "Attempts that ended here, by task type and outcome: ok, failed or stopped (cancelled, "
    "deadline, "
    "lost lease, drain).",
    {"task_type", "outcome"}};
inline constexpr metrics::HistogramDef kAttemptSeconds{"slipstream_worker_attempt_seconds",
                                                       "Run time of attempts, in seconds.",
                                                       {"task_type"},
                                                       metrics::kJobSeconds};
inline constexpr metrics::CounterDef kDraftCache{
    "slipstream_worker_draft_cache_total",
    "Look-ups of drafts in the cache, by result: hit, miss or error.",
    {"result"}};
inline constexpr metrics::CounterDef kAssigned{"slipstream_worker_assigned_total",
                                               "Tasks that the queue gave to this worker."};
inline constexpr metrics::CounterDef kReported{
    "slipstream_worker_reported_total",
    "Outcomes that the queue acknowledged, by kind: success, failure or release.",
    {"kind"}};
inline constexpr metrics::CounterDef kRefused{
    "slipstream_worker_refused_total",
    "Reports that the queue refused, by cause: stale_lease or other.",
    {"cause"}};
inline constexpr metrics::CounterDef kCancelled{"slipstream_worker_cancelled_total",
                                                "Tasks that the queue told this worker to stop."};
inline constexpr metrics::CounterDef kLost{"slipstream_worker_lost_leases_total",
                                           "Leases that were gone after a broken stream."};
inline constexpr metrics::CounterDef kSessions{
    "slipstream_worker_sessions_total",
    "Connections to the task queue, by kind: new or resumed.",
    {"kind"}};
inline constexpr metrics::GaugeDef kConnected{"slipstream_worker_connected",
                                              "1 while the session with the task queue stands."};
inline constexpr metrics::GaugeDef kSlots{"slipstream_worker_slots", "Tasks run at once, at most."};
inline constexpr metrics::GaugeDef kRunning{"slipstream_worker_running", "Tasks that run now."};
inline constexpr metrics::GaugeDef kWaiting{"slipstream_worker_waiting",
                                            "Tasks assigned that wait for a free slot."};
inline constexpr metrics::GaugeDef kUnacked{"slipstream_worker_unacknowledged",
                                            "Outcomes that the queue has not acknowledged yet."};

}  // namespace slipstream::worker

#endif  // SERVICES_WORKER_WORKER_METRICS_H_
