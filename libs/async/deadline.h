// The moment at which an Event::Wait gives up, from how long it may take.
//
// Thread safety: a pure function.
#ifndef LIBS_ASYNC_DEADLINE_H_
#define LIBS_ASYNC_DEADLINE_H_

#include <algorithm>
#include <chrono>

#include "absl/time/time.h"
#include "libs/async/event.h"

namespace slipstream::async {

// At most a year from now, so that InfiniteDuration does not overflow.
inline Event::TimePoint After(absl::Duration duration) {
  const absl::Duration bounded = std::clamp(duration, absl::ZeroDuration(), absl::Hours(24 * 365));
  return std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(bounded);
}

}  // namespace slipstream::async

#endif  // LIBS_ASYNC_DEADLINE_H_
