#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "libs/async/event.h"
#include "libs/async/runtime.h"
#include "libs/async/scope.h"
#include "libs/async/suspend.h"

namespace slipstream::async {
namespace {

class AsyncTest : public testing::Test {
 protected:
  Runtime runtime_{2};
  Scope scope_{runtime_.executor()};
};

TEST_F(AsyncTest, SuspendResumesWithTheValueOnTheExecutor) {
  std::promise<int> result;
  std::promise<Resume<int>> resume;
  ASSERT_TRUE(scope_.Spawn([&]() -> Async<void> {
    result.set_value(co_await Suspend<int>([&](Resume<int> r) { resume.set_value(std::move(r)); }));
  }));
  resume.get_future().get()(42);
  EXPECT_EQ(result.get_future().get(), 42);
}

TEST_F(AsyncTest, SuspendResumedFromInsideStartDoesNotRecurse) {
  std::promise<int> result;
  scope_.Spawn([&]() -> Async<void> {
    int sum = 0;
    for (int i = 0; i < 100000; ++i) {
      sum += co_await Suspend<int>([](Resume<int> resume) { resume(1); });
    }
    result.set_value(sum);
  });
  EXPECT_EQ(result.get_future().get(), 100000);
}

TEST_F(AsyncTest, EventWakesEveryWaiter) {
  Event event;
  std::atomic<int> woken{0};
  const uint64_t seen = event.version();
  for (int i = 0; i < 10; ++i) {
    scope_.Spawn([&]() -> Async<void> {
      if (co_await event.Wait(seen)) ++woken;
    });
  }
  event.Notify();
  scope_.Close();
  EXPECT_EQ(woken.load(), 10);
}

TEST_F(AsyncTest, EventWaitEndsAtItsDeadline) {
  Event event;
  std::promise<bool> result;
  scope_.Spawn([&]() -> Async<void> {
    result.set_value(co_await event.Wait(
        event.version(), std::chrono::steady_clock::now() + std::chrono::milliseconds(5)));
  });
  EXPECT_FALSE(result.get_future().get());
}

TEST_F(AsyncTest, EventNotifyBeforeTheWaitIsNotLost) {
  Event event;
  const uint64_t seen = event.version();
  event.Notify();
  std::promise<bool> result;
  scope_.Spawn([&]() -> Async<void> { result.set_value(co_await event.Wait(seen)); });
  EXPECT_TRUE(result.get_future().get());
}

// Notifiers and deadlines race; each waiter is resumed exactly once.
TEST_F(AsyncTest, EventUnderContention) {
  Event event;
  std::atomic<int> ended{0};
  constexpr int kWaiters = 4;
  constexpr int kRounds = 500;
  for (int i = 0; i < kWaiters; ++i) {
    scope_.Spawn([&]() -> Async<void> {
      for (int round = 0; round < kRounds; ++round) {
        co_await event.Wait(event.version(), std::chrono::steady_clock::now() +
                                                 std::chrono::microseconds(round % 50));
        ++ended;
      }
    });
  }
  std::atomic<bool> stop{false};
  std::thread notifier([&] {
    while (!stop) event.Notify();
  });
  scope_.Close();
  stop = true;
  notifier.join();
  EXPECT_EQ(ended.load(), kWaiters * kRounds);
}

TEST_F(AsyncTest, CloseEndsSleepersAndRefusesNewWork) {
  std::atomic<bool> slept_whole{true};
  scope_.Spawn([&]() -> Async<void> { slept_whole = co_await scope_.SleepFor(absl::Hours(1)); });
  scope_.Close();
  EXPECT_FALSE(slept_whole);
  EXPECT_FALSE(scope_.Spawn([]() -> Async<void> { co_return; }));
}

TEST_F(AsyncTest, SleepForEndsByItself) {
  std::promise<bool> result;
  scope_.Spawn(
      [&]() -> Async<void> { result.set_value(co_await scope_.SleepFor(absl::Milliseconds(1))); });
  EXPECT_TRUE(result.get_future().get());
}

}  // namespace
}  // namespace slipstream::async
