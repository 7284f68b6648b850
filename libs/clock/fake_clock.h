// FakeClock: time that moves only when a test says so.
//
// Thread safety: all methods may be called from any thread. No method fails.
#ifndef SLIPSTREAM_LIBS_CLOCK_FAKE_CLOCK_H_
#define SLIPSTREAM_LIBS_CLOCK_FAKE_CLOCK_H_

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "libs/clock/clock.h"
#include "libs/sync/mutex.h"

namespace slipstream::clock {

class FakeClock final : public Clock {
 public:
  // 2026-01-01T00:00:00Z: a date of today's order, so that rendered times look right in tests.
  FakeClock() : FakeClock(absl::FromUnixSeconds(1767225600)) {}
  explicit FakeClock(absl::Time now) : now_(now) {}

  absl::Time Now() const override {
    sync::MutexLock lock(mu_);
    return now_;
  }

  absl::Duration Monotonic() const override {
    sync::MutexLock lock(mu_);
    return monotonic_;
  }

  // Time passes: both clocks go on by `step`. A negative step counts as none, because real time
  // does not go back; to set the wall clock back, see JumpWallClock.
  void Advance(absl::Duration step) {
    if (step <= absl::ZeroDuration()) return;
    sync::MutexLock lock(mu_);
    now_ += step;
    monotonic_ += step;
  }

  // What NTP or an operator does: the wall clock moves (either way), the monotonic one does not.
  void JumpWallClock(absl::Duration step) {
    sync::MutexLock lock(mu_);
    now_ += step;
  }

 private:
  mutable sync::Mutex mu_;
  absl::Time now_ ABSL_GUARDED_BY(mu_);
  // Not zero at the start, so that code which takes 0 for "never" is found out.
  absl::Duration monotonic_ ABSL_GUARDED_BY(mu_) = absl::Hours(1);
};

}  // namespace slipstream::clock

#endif  // SLIPSTREAM_LIBS_CLOCK_FAKE_CLOCK_H_
