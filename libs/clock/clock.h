// Clock: the only source of time for engines and stores, so that a test can hold it still.
//
// Thread safety: all methods may be called from any thread. No method fails.
#ifndef SLIPSTREAM_LIBS_CLOCK_CLOCK_H_
#define SLIPSTREAM_LIBS_CLOCK_CLOCK_H_

#include "absl/time/time.h"

namespace slipstream::clock {

class Clock {
 public:
  virtual ~Clock() = default;

  // Wall time: for what people and other processes read (created_at, exp). It may jump.
  virtual absl::Time Now() const = 0;

  // Time since an unspecified start that never goes back: for leases, deadlines and latencies.
  // Only differences within one process mean anything.
  virtual absl::Duration Monotonic() const = 0;
};

// Now() is CLOCK_REALTIME. Monotonic() is CLOCK_BOOTTIME, which goes on while the machine is
// suspended: with CLOCK_MONOTONIC a lease would seem alive long after its peers gave it up.
class SystemClock final : public Clock {
 public:
  absl::Time Now() const override;
  absl::Duration Monotonic() const override;
};

}  // namespace slipstream::clock

#endif  // SLIPSTREAM_LIBS_CLOCK_CLOCK_H_
