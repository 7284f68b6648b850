#include "libs/redis/counters.h"

#include <algorithm>

namespace slipstream::redis {

void Counters::AddRoundTrip(std::chrono::nanoseconds took) {
  const double seconds = std::chrono::duration<double>(took).count();
  const auto bucket =
      std::lower_bound(Stats::kBucketSeconds.begin(), Stats::kBucketSeconds.end(), seconds) -
      Stats::kBucketSeconds.begin();
  Add(round_trip_buckets[static_cast<size_t>(bucket)]);
  Add(round_trip_ns, static_cast<uint64_t>(std::max<int64_t>(took.count(), 0)));
}

Stats Counters::Read() const {
  const auto get = [](const Count& count) { return count.load(std::memory_order_relaxed); };
  Stats out;
  out.commands_count = get(commands);
  out.errors_count = get(errors);
  out.timeouts_count = get(timeouts);
  out.refused_count = get(refused);
  out.writes_count = get(writes);
  out.reconnects_count = get(reconnects);
  out.redirects_count = get(redirects);
  out.scripts_loaded_count = get(scripts_loaded);
  out.not_replicated_count = get(not_replicated);
  out.pending_count = pending.load(std::memory_order_relaxed);
  for (size_t i = 0; i < out.round_trip_buckets.size(); ++i) {
    out.round_trip_buckets[i] = get(round_trip_buckets[i]);
  }
  out.round_trip_sum = absl::Nanoseconds(static_cast<int64_t>(get(round_trip_ns)));
  return out;
}

}  // namespace slipstream::redis
