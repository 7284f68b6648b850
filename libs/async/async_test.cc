#include <atomic>
#include <chrono>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "libs/async/event.h"
#include "libs/async/ready.h"
#include "libs/async/runtime.h"
#include "libs/async/scope.h"
#include "libs/async/start.h"
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

// Owners look at a Resume that they have moved from, to see whether they still have to call it.
TEST_F(AsyncTest, AResumeIsEmptyOnceItIsMovedFromOrCalled) {
  std::promise<int> result;
  std::promise<Resume<int>> waiting;
  ASSERT_TRUE(scope_.Spawn([&]() -> Async<void> {
    result.set_value(
        co_await Suspend<int>([&](Resume<int> r) { waiting.set_value(std::move(r)); }));
  }));
  Resume<int> first = waiting.get_future().get();
  EXPECT_TRUE(first);
  Resume<int> second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): what is tested
  Resume<int> third;
  EXPECT_FALSE(third);
  third = std::move(second);
  EXPECT_FALSE(second);  // NOLINT(bugprone-use-after-move)
  EXPECT_TRUE(third);
  third(7);
  EXPECT_FALSE(third);
  EXPECT_EQ(result.get_future().get(), 7);
}

TEST_F(AsyncTest, HereResumesOnTheCallingThread) {
  std::promise<Resume<int>> waiting;
  std::thread::id resumed_on;
  ASSERT_TRUE(scope_.Spawn([&]() -> Async<void> {
    co_await Suspend<int>([&](Resume<int> r) { waiting.set_value(std::move(r)); });
    resumed_on = std::this_thread::get_id();
  }));
  waiting.get_future().get().Here(1);
  EXPECT_EQ(resumed_on, std::this_thread::get_id());
}

TEST_F(AsyncTest, AResumeOfAnyHandlerRunsOnItsExecutor) {
  std::promise<std::pair<int, std::thread::id>> called;
  Resume<int>::From([&](int value) { called.set_value({value, std::this_thread::get_id()}); },
                    runtime_.executor())(5);
  const auto [value, thread] = called.get_future().get();
  EXPECT_EQ(value, 5);
  EXPECT_NE(thread, std::this_thread::get_id());
}

TEST_F(AsyncTest, ADroppedResumeEndsItsCoroutine) {
  struct Told {
    std::promise<void>* promise;
    ~Told() { promise->set_value(); }
  };
  std::promise<void> destroyed;
  Start(runtime_.executor(), [&]() -> Async<void> {
    const Told told{&destroyed};
    co_await Suspend<int>([](Resume<int>) {});
    ADD_FAILURE() << "resumed";
  });
  EXPECT_EQ(destroyed.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST_F(AsyncTest, ReadyIsOverAtOnce) {
  int got = 0;
  Start(runtime_.executor(), [&]() -> Async<void> { got = co_await Ready(3); });
  EXPECT_EQ(got, 3);
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

TEST(Start, RunsHereUntilItWaitsAndGoesOnOnTheExecutor) {
  Runtime runtime(1);
  const auto here = std::this_thread::get_id();
  std::promise<std::vector<bool>> was_here;
  Event go;
  std::atomic<bool> began = false;
  Start(runtime.executor(), [&]() -> Async<void> {
    std::vector<bool> seen = {std::this_thread::get_id() == here};
    began = true;
    co_await go.Wait(0);
    seen.push_back(std::this_thread::get_id() == here);
    was_here.set_value(seen);
  });
  EXPECT_TRUE(began);
  go.Notify();
  EXPECT_EQ(was_here.get_future().get(), (std::vector<bool>{true, false}));
}

TEST(Start, EndsBeforeItReturnsWhenNothingIsWaitedFor) {
  Runtime runtime(1);
  const auto held = std::make_shared<int>(7);
  int result = 0;
  Start(runtime.executor(), [&result, held]() -> Async<void> {
    result = *held;
    co_return;
  });
  EXPECT_EQ(result, 7);
  EXPECT_EQ(held.use_count(), 1);  // the frame is gone
}

}  // namespace
}  // namespace slipstream::async
