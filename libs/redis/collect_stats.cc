#include "libs/redis/collect_stats.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "libs/redis/redis_metrics.h"

namespace slipstream::redis {

void CollectStats(const Stats& stats, std::string_view client_name, metrics::Samples& samples) {
  const auto add = [&](const metrics::CounterDef& def, uint64_t value) {
    samples.Add(def, static_cast<double>(value), {client_name});
  };
  add(kCommandsTotal, stats.commands_count);
  add(kWritesTotal, stats.writes_count);
  add(kReconnectsTotal, stats.reconnects_count);
  add(kRedirectsTotal, stats.redirects_count);
  // Read without a common moment, so the rest may be short by one for a while.
  const uint64_t known = stats.timeouts_count + stats.refused_count + stats.not_replicated_count;
  const uint64_t other = stats.errors_count > known ? stats.errors_count - known : 0;
  const auto error = [&](std::string_view cause, uint64_t value) {
    samples.Add(kErrorsTotal, static_cast<double>(value), {client_name, cause});
  };
  error("timeout", stats.timeouts_count);
  error("queue_full", stats.refused_count);
  error("not_replicated", stats.not_replicated_count);
  error("other", other);
  for (size_t i = 0; i < stats.round_trip_buckets.size(); ++i) {
    const std::string up_to = i < Stats::kBucketSeconds.size()
                                  ? absl::StrCat(Stats::kBucketSeconds[i])
                                  : std::string("inf");
    samples.Add(kRoundTripsTotal, static_cast<double>(stats.round_trip_buckets[i]),
                {client_name, up_to});
  }
  samples.Add(kRoundTripSecondsTotal, absl::ToDoubleSeconds(stats.round_trip_sum), {client_name});
  samples.Add(kPending, static_cast<double>(stats.pending_count), {client_name});
  samples.Add(kNodes, static_cast<double>(stats.nodes_up_count), {client_name, "up"});
  samples.Add(kNodes, static_cast<double>(stats.nodes_count - stats.nodes_up_count),
              {client_name, "down"});
}

}  // namespace slipstream::redis
