// How long a blocking wait may still take: made once from the whole time, asked before each wait.
//
// Real time, for waits on the kernel or on other threads (CondVar, poll); what the suite decides by
// time asks the injected Clock.
//
// Thread safety: a plain value.
#ifndef SLIPSTREAM_LIBS_SYNC_DEADLINE_H_
#define SLIPSTREAM_LIBS_SYNC_DEADLINE_H_

#include <algorithm>
#include <chrono>

#include "absl/time/time.h"

namespace slipstream::sync {

class Deadline {
 public:
  // At most a year from now, so that InfiniteDuration does not overflow.
  explicit Deadline(absl::Duration timeout)
      : at_(std::chrono::steady_clock::now() +
            absl::ToChronoNanoseconds(
                std::clamp(timeout, absl::ZeroDuration(), absl::Hours(24 * 365)))) {}

  // Not negative; zero when the time is over.
  absl::Duration Left() const {
    return std::max(absl::FromChrono(at_ - std::chrono::steady_clock::now()), absl::ZeroDuration());
  }
  bool Passed() const { return Left() == absl::ZeroDuration(); }

 private:
  const std::chrono::steady_clock::time_point at_;
};

}  // namespace slipstream::sync

#endif  // SLIPSTREAM_LIBS_SYNC_DEADLINE_H_
