// Every series of this service: the one table, and the handles made from it.
#ifndef SERVICES_TASK_QUEUE_TASK_QUEUE_METRICS_H_
#define SERVICES_TASK_QUEUE_TASK_QUEUE_METRICS_H_

#include "libs/metrics/metric_def.h"
#include "libs/metrics/registry.h"

namespace slipstream::task_queue {

// clang-format off
inline constexpr metrics::CounterDef kSubmitted{
    "slipstream_task_queue_submitted_total", "Tasks accepted.", {"task_type"}};
inline constexpr metrics::CounterDef kRefused{
    "slipstream_task_queue_refused_total", "Submits refused, by reason.", {"reason"}};
inline constexpr metrics::CounterDef kFinished{
    "slipstream_task_queue_finished_total", "Tasks ended, by final status.", {"task_type", "status"}};
inline constexpr metrics::CounterDef kRetried{
    "slipstream_task_queue_retried_total", "Attempts that failed and will run again.", {"task_type"}};
inline constexpr metrics::CounterDef kLeased{
    "slipstream_task_queue_leased_total", "Tasks handed to workers.", {"task_type"}};
inline constexpr metrics::CounterDef kLostLeases{
    "slipstream_task_queue_lost_leases_total", "Leases ended by time: STALE_LEASE or DEADLINE_EXCEEDED.", {"reason"}};
inline constexpr metrics::CounterDef kStaleRefused{
    "slipstream_task_queue_stale_refused_total", "Reports refused because their lease had ended."};
inline constexpr metrics::HistogramDef kWaitSeconds{
    "slipstream_task_queue_wait_seconds", "Time from ready to started.", {"priority"}, metrics::kLatencySeconds};
inline constexpr metrics::HistogramDef kRunSeconds{
    "slipstream_task_queue_run_seconds", "Time from started to ended, one attempt.", {"task_type"}, metrics::kJobSeconds};
inline constexpr metrics::GaugeDef kTasks{
    "slipstream_task_queue_tasks", "Tasks kept, by status.", {"status"}};
inline constexpr metrics::GaugeDef kOldestWait{
    "slipstream_task_queue_oldest_wait_seconds", "Age of the oldest waiting task."};
inline constexpr metrics::GaugeDef kHeldBytes{
    "slipstream_task_queue_held_bytes", "Arguments and results kept in memory."};
inline constexpr metrics::GaugeDef kNotDurable{
    "slipstream_task_queue_not_durable_tasks", "Unfinished tasks that were accepted in memory while Redis was away."};
inline constexpr metrics::GaugeDef kWorkers{
    "slipstream_task_queue_workers", "Connected worker sessions."};
inline constexpr metrics::GaugeDef kSlots{
    "slipstream_task_queue_slots", "Slots of connected workers: held or free.", {"state"}};
inline constexpr metrics::GaugeDef kOutbox{
    "slipstream_task_queue_outbox_entries", "Events not yet delivered to the notification service."};
inline constexpr metrics::CounterDef kOutboxDelivered{
    "slipstream_task_queue_outbox_delivered_total", "Events delivered to the notification service."};
inline constexpr metrics::CounterDef kOutboxRetries{
    "slipstream_task_queue_outbox_retries_total", "Deliveries that failed and were tried again."};
inline constexpr metrics::CounterDef kOutboxDropped{
    "slipstream_task_queue_outbox_dropped_total", "Events given up: refused as invalid, or the outbox was full."};
inline constexpr metrics::CounterDef kArtifactUploads{
    "slipstream_artifact_uploads_total", "Artifacts kept."};
inline constexpr metrics::CounterDef kArtifactBytesIn{
    "slipstream_artifact_received_bytes_total", "Bytes of artifacts kept."};
inline constexpr metrics::CounterDef kArtifactBytesOut{
    "slipstream_artifact_sent_bytes_total", "Bytes of artifacts sent."};
inline constexpr metrics::CounterDef kArtifactsRemoved{
    "slipstream_artifact_removed_total", "Artifacts removed: deleted, expired or orphan.", {"cause"}};
inline constexpr metrics::GaugeDef kArtifactsHeldBytes{
    "slipstream_artifact_held_bytes", "Bytes of all artifacts kept."};
// clang-format on

// Handles; made once per process, copied freely, safe from any thread.
struct QueueSeries {
  explicit QueueSeries(metrics::Registry& registry)
      : submitted(registry.Add(kSubmitted)),
        refused(registry.Add(kRefused)),
        finished(registry.Add(kFinished)),
        retried(registry.Add(kRetried)),
        leased(registry.Add(kLeased)),
        lost_leases(registry.Add(kLostLeases)),
        stale_refused(registry.Add(kStaleRefused).With({})),
        wait_seconds(registry.Add(kWaitSeconds)),
        run_seconds(registry.Add(kRunSeconds)),
        outbox_delivered(registry.Add(kOutboxDelivered).With({})),
        outbox_retries(registry.Add(kOutboxRetries).With({})),
        outbox_dropped(registry.Add(kOutboxDropped).With({})) {}

  metrics::Family<metrics::Counter> submitted, refused, finished, retried, leased, lost_leases;
  metrics::Counter stale_refused;
  metrics::Family<metrics::Histogram> wait_seconds, run_seconds;
  metrics::Counter outbox_delivered, outbox_retries, outbox_dropped;
};

struct ArtifactSeries {
  explicit ArtifactSeries(metrics::Registry& registry)
      : uploads(registry.Add(kArtifactUploads).With({})),
        bytes_in(registry.Add(kArtifactBytesIn).With({})),
        bytes_out(registry.Add(kArtifactBytesOut).With({})),
        removed(registry.Add(kArtifactsRemoved)) {}

  metrics::Counter uploads, bytes_in, bytes_out;
  metrics::Family<metrics::Counter> removed;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_TASK_QUEUE_METRICS_H_
