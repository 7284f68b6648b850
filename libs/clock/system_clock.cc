#include <time.h>

#include "absl/time/clock.h"
#include "libs/clock/clock.h"

namespace slipstream::clock {

absl::Time SystemClock::Now() const { return absl::Now(); }

absl::Duration SystemClock::Monotonic() const {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);  // cannot fail on Linux >= 2.6.39 with a valid pointer
  return absl::DurationFromTimespec(now);
}

}  // namespace slipstream::clock
