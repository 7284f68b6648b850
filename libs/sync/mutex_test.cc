#include "libs/sync/mutex.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "libs/sync/short_mutex_lock.h"

namespace slipstream::sync {
namespace {

struct Counter {
  Mutex mu;
  int value ABSL_GUARDED_BY(mu) = 0;
};

template <class Lock>
class MutexLockTest : public testing::Test {};
using Locks = testing::Types<MutexLock, ShortMutexLock>;
TYPED_TEST_SUITE(MutexLockTest, Locks);

TYPED_TEST(MutexLockTest, ExcludesOtherThreads) {
  constexpr int kThreadCount = 4;
  constexpr int kStepCount = 20000;
  Counter counter;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreadCount; ++t) {
    threads.emplace_back([&counter] {
      for (int i = 0; i < kStepCount; ++i) {
        TypeParam lock(counter.mu);
        const int before = counter.value;
        if (i % 64 == 0) std::this_thread::yield();  // widens the window that the lock must close
        counter.value = before + 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  MutexLock lock(counter.mu);
  EXPECT_EQ(counter.value, kThreadCount * kStepCount);
}

bool CanLock(Mutex& mu) {
  if (!mu.TryLock()) return false;
  mu.Unlock();
  return true;
}

bool AnotherThreadCanLock(Mutex& mu) {
  bool taken = false;
  std::thread([&] { taken = CanLock(mu); }).join();
  return taken;
}

TEST(MutexTest, TryLockFailsWhileHeldAndSucceedsAfterRelease) {
  Mutex mu;
  {
    MutexLock lock(mu);
    EXPECT_FALSE(AnotherThreadCanLock(mu));
  }
  EXPECT_TRUE(AnotherThreadCanLock(mu));
}

TEST(CondVarTest, WaitReleasesTheMutexAndHoldsItAgainAfterwards) {
  Mutex mu;
  CondVar changed;
  bool ready = false;  // guarded by mu
  std::thread setter([&] {
    MutexLock lock(mu);  // can be had only when Wait has released it
    ready = true;
    changed.Signal();
  });
  {
    MutexLock lock(mu);
    while (!ready) changed.Wait(mu);
    EXPECT_FALSE(AnotherThreadCanLock(mu));
  }
  setter.join();
}

TEST(CondVarTest, WaitForRunsOutAndKeepsTheMutex) {
  Mutex mu;
  CondVar never;
  MutexLock lock(mu);
  bool timed_out = false;
  for (int i = 0; i < 100 && !timed_out; ++i) timed_out = !never.WaitFor(mu, absl::Milliseconds(1));
  EXPECT_TRUE(timed_out);
}

TEST(CondVarTest, WaitForAnInfiniteTimeWaitsForTheSignal) {
  Mutex mu;
  CondVar changed;
  bool ready = false;  // guarded by mu
  std::thread setter([&] {
    MutexLock lock(mu);
    ready = true;
    changed.SignalAll();
  });
  {
    MutexLock lock(mu);
    while (!ready) ASSERT_TRUE(changed.WaitFor(mu, absl::InfiniteDuration()));
  }
  setter.join();
}

}  // namespace
}  // namespace slipstream::sync
