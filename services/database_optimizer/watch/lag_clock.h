// How far a replica is behind in time, from positions in the log: the time since the primary was
// first seen beyond what the replica has replayed. The replica's own report (replay_lag) stands
// still while it replays nothing, which is when it matters.
//
// Bounded: kMaxSamplesCount samples of 16 bytes. When full, the older ones are thinned out, so that
// an estimate is up to a thirty-second too small, and those older than kMaxAge go.
// Thread safety: all methods from any thread.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_LAG_CLOCK_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_LAG_CLOCK_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "libs/sync/mutex.h"

namespace slipstream::database_optimizer {

class LagClock {
 public:
  static constexpr size_t kMaxSamplesCount = 1024;
  static constexpr absl::Duration kMaxAge = absl::Hours(25);
  static constexpr int64_t kNewLogBytes = 1 << 30;

  // The primary's position at `now` (monotonic). One a little before the last is a look that was
  // overtaken, and is left out; one that is more than kNewLogBytes before it forgets all: the log
  // began anew.
  void Add(int64_t lsn, absl::Duration now);

  // Zero when the replica has replayed all that was seen of the primary.
  absl::Duration Estimate(int64_t replayed_lsn, absl::Duration now) const;

 private:
  void ThinOut(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  struct Sample {
    int64_t lsn;
    absl::Duration at;  // when the primary was first seen there
  };
  mutable sync::Mutex mutex_;
  std::vector<Sample> samples_ ABSL_GUARDED_BY(mutex_);  // ascending in both
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_LAG_CLOCK_H_
