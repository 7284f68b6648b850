#include "libs/clock/clock.h"

#include <gtest/gtest.h>

#include <ctime>
#include <thread>
#include <vector>

#include "libs/clock/fake_clock.h"

namespace slipstream::clock {
namespace {

TEST(SystemClockTest, NowIsWallTime) {
  SystemClock clock;
  const std::time_t before = std::time(nullptr);
  const absl::Time now = clock.Now();
  const std::time_t after = std::time(nullptr);
  EXPECT_GE(now, absl::FromTimeT(before) - absl::Seconds(1));
  EXPECT_LE(now, absl::FromTimeT(after) + absl::Seconds(1));
}

TEST(SystemClockTest, MonotonicIsTheBootClockAndNeverGoesBack) {
  SystemClock clock;
  timespec boot{};
  ASSERT_EQ(clock_gettime(CLOCK_BOOTTIME, &boot), 0);
  absl::Duration last = clock.Monotonic();
  EXPECT_GE(last, absl::DurationFromTimespec(boot));
  for (int i = 0; i < 10000; ++i) {
    const absl::Duration now = clock.Monotonic();
    ASSERT_GE(now, last);
    last = now;
  }
  ASSERT_EQ(clock_gettime(CLOCK_BOOTTIME, &boot), 0);
  EXPECT_LE(last, absl::DurationFromTimespec(boot));
}

TEST(FakeClockTest, StandsStillUntilAdvanced) {
  FakeClock clock(absl::FromUnixSeconds(100));
  const absl::Duration start = clock.Monotonic();
  EXPECT_EQ(clock.Now(), absl::FromUnixSeconds(100));
  clock.Advance(absl::Milliseconds(1500));
  EXPECT_EQ(clock.Now(), absl::FromUnixMillis(101500));
  EXPECT_EQ(clock.Monotonic() - start, absl::Milliseconds(1500));
}

TEST(FakeClockTest, NeverAdvancesBackwards) {
  FakeClock clock;
  const absl::Time now = clock.Now();
  const absl::Duration monotonic = clock.Monotonic();
  clock.Advance(absl::Seconds(-5));
  EXPECT_EQ(clock.Now(), now);
  EXPECT_EQ(clock.Monotonic(), monotonic);
}

TEST(FakeClockTest, WallClockJumpLeavesTheMonotonicClockAlone) {
  FakeClock clock;
  const absl::Time now = clock.Now();
  const absl::Duration monotonic = clock.Monotonic();
  clock.JumpWallClock(absl::Hours(-2));
  EXPECT_EQ(clock.Now(), now - absl::Hours(2));
  EXPECT_EQ(clock.Monotonic(), monotonic);
}

TEST(FakeClockTest, NoStepIsLostBetweenThreads) {
  FakeClock clock;
  const absl::Duration start = clock.Monotonic();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&clock] {
      for (int i = 0; i < 1000; ++i) clock.Advance(absl::Milliseconds(1));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(clock.Monotonic() - start, absl::Seconds(4));
}

}  // namespace
}  // namespace slipstream::clock
