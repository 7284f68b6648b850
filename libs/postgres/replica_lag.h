// How far a replica is behind its primary, by log positions alone.
//
// What was the primary's position at a time, and the replica has replayed now, is not older than
// that time. So the clocks of the servers need not agree, and an idle primary's replica has no lag,
// which the time of the last replayed transaction (pg_last_xact_replay_timestamp) would say it has.
//
// Pure: time is given. Thread safety: one thread at a time.
#ifndef LIBS_POSTGRES_REPLICA_LAG_H_
#define LIBS_POSTGRES_REPLICA_LAG_H_

#include <chrono>
#include <cstdint>
#include <deque>

#include "libs/postgres/wal_position.h"

namespace slipstream::postgres {

class ReplicaLag {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;

  struct Lag {
    int64_t bytes = 0;
    Duration time{};
  };

  // The primary was at `position` at `at`, which was before the answer came: when it was asked.
  void OnPrimary(TimePoint at, WalPosition position) {
    // A new primary may have a shorter log; what was known of the old one says nothing of it.
    if (!samples_.empty() && position < samples_.back().position) samples_.clear();
    // Without writes the first time counts: since then there has been nothing to be behind of.
    if (!samples_.empty() && position == samples_.back().position) return;
    samples_.push_back({at, position});
    if (samples_.size() > kMaxSamplesCount) samples_.pop_front();
  }

  // Of a replica that has replayed `position`. Zero while the primary was never seen.
  Lag Of(WalPosition position, TimePoint now) const {
    if (samples_.empty() || position >= samples_.back().position) return {};
    Lag out{static_cast<int64_t>(samples_.back().position.bytes - position.bytes), {}};
    // It is as old as the first thing that it lacks.
    TimePoint lacks_since = samples_.front().at;
    for (auto it = samples_.rbegin(); it != samples_.rend(); ++it) {
      if (it->position <= position) break;
      lacks_since = it->at;
    }
    out.time = now - lacks_since;
    return out;
  }

 private:
  // At the default interval five minutes; what is further behind counts as that far.
  static constexpr size_t kMaxSamplesCount = 1200;
  struct Sample {
    TimePoint at;
    WalPosition position;
  };
  std::deque<Sample> samples_;
};

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_REPLICA_LAG_H_
