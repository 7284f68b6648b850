// The one table of the notification service's series. Counts are read from the engine when the
// series are asked for; only the histogram is written on the way.
#ifndef SERVICES_NOTIFICATION_NOTIFICATION_METRICS_H_
#define SERVICES_NOTIFICATION_NOTIFICATION_METRICS_H_

#include "libs/metrics/metric_def.h"

namespace slipstream::notification {

inline constexpr metrics::CounterDef kPublishedTotal{
    "slipstream_notification_published_total", "Events appended, by type.", {"type"}};
inline constexpr metrics::CounterDef kDuplicatesTotal{"slipstream_notification_duplicates_total",
                                                      "Publishes whose idempotency key was known."};
inline constexpr metrics::CounterDef kDeliveredTotal{"slipstream_notification_delivered_total",
                                                     "Events handed to subscribers."};
inline constexpr metrics::CounterDef kConflatedTotal{
    "slipstream_notification_conflated_total",
    "Progress events replaced by a newer one before they were sent."};
inline constexpr metrics::CounterDef kDelayedTotal{
    "slipstream_notification_delayed_total",
    "Events that waited because a user had as many as a minute allows, and those behind them."};
inline constexpr metrics::CounterDef kResumesTotal{
    "slipstream_notification_resumes_total",
    "Subscriptions with a cursor, by outcome: recovered or not_recovered.",
    {"outcome"}};
inline constexpr metrics::CounterDef kClosesTotal{"slipstream_notification_closes_total",
                                                  "Subscribers ended by this node, by reason.",
                                                  {"reason"}};
inline constexpr metrics::CounterDef kEvictedChannelsTotal{
    "slipstream_notification_evicted_channels_total",
    "Channels whose history was given up to stay within the store's bounds."};
inline constexpr metrics::GaugeDef kSubscribers{"slipstream_notification_subscribers",
                                                "Open subscriptions."};
inline constexpr metrics::GaugeDef kUsers{"slipstream_notification_users",
                                          "Users with at least one open subscription."};
inline constexpr metrics::GaugeDef kLinks{"slipstream_notification_links",
                                          "Open streams: one per Subscribe, one per edge."};
inline constexpr metrics::GaugeDef kQueueBytes{"slipstream_notification_queue_bytes",
                                               "Bytes waiting in subscribers' own queues."};
inline constexpr metrics::GaugeDef kHistoryBytes{"slipstream_notification_history_bytes",
                                                 "Bytes of kept events."};
inline constexpr metrics::GaugeDef kHistoryEvents{"slipstream_notification_history_events",
                                                  "Kept events."};
inline constexpr metrics::GaugeDef kHistoryChannels{"slipstream_notification_history_channels",
                                                    "Channels with a history."};
inline constexpr metrics::GaugeDef kDegraded{
    "slipstream_notification_degraded",
    "1 while Redis is away: publishing and subscribing is refused, events of others come late."};
inline constexpr metrics::HistogramDef kDeliverySeconds{
    "slipstream_notification_delivery_seconds",
    "Time from publish to hand-over to the stream's writer.",
    {},
    metrics::kLatencySeconds};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_NOTIFICATION_METRICS_H_
