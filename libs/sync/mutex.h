// Mutex, MutexLock and CondVar: std::mutex and std::condition_variable with the thread-safety
// annotations that clang checks (-Wthread-safety). They are used instead of absl::Mutex because
// ThreadSanitizer sees through std::mutex, while the packaged Abseil is not instrumented.
//
// Thread safety: all three may be used from any thread. No method fails.
//
//   Mutex mu_;
//   int waiting_count_ ABSL_GUARDED_BY(mu_) = 0;
//
//   MutexLock lock(mu_);
//   while (waiting_count_ == 0) changed_.Wait(mu_);   // a loop: wake-ups may be spurious
#ifndef SLIPSTREAM_LIBS_SYNC_MUTEX_H_
#define SLIPSTREAM_LIBS_SYNC_MUTEX_H_

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

namespace slipstream::sync {

// Not recursive: locking twice from one thread is undefined, as with std::mutex.
class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mu_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mu_.unlock(); }
  // True when the lock was taken.
  bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) { return mu_.try_lock(); }

 private:
  friend class CondVar;
  std::mutex mu_;
};

// Holds the mutex for its own lifetime.
class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex& mu) ABSL_EXCLUSIVE_LOCK_FUNCTION(mu) : mu_(mu) { mu_.Lock(); }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mu_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mu_;
};

// Takes no predicate on purpose: the analysis does not see into a lambda, a while loop it does.
// Must never be waited on from a gRPC or Asio thread.
class CondVar {
 public:
  CondVar() = default;
  CondVar(const CondVar&) = delete;
  CondVar& operator=(const CondVar&) = delete;

  // Releases `mu`, waits for a signal (or nothing: a spurious wake-up) and takes `mu` again.
  void Wait(Mutex& mu) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    std::unique_lock<std::mutex> lock(mu.mu_, std::adopt_lock);
    cv_.wait(lock);
    lock.release();  // still held: it belongs to the caller
  }

  // As Wait, for at most `timeout` of real time. False when the time ran out.
  [[nodiscard]] bool WaitFor(Mutex& mu, absl::Duration timeout) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    // The bound keeps `steady_clock::now() + timeout` from overflowing on InfiniteDuration.
    constexpr absl::Duration kMaxWait = absl::Hours(24 * 365);
    std::unique_lock<std::mutex> lock(mu.mu_, std::adopt_lock);
    const auto wait = absl::ToChronoNanoseconds(std::min(timeout, kMaxWait));
    const bool signalled = cv_.wait_for(lock, wait) == std::cv_status::no_timeout;
    lock.release();
    return signalled;
  }

  void Signal() { cv_.notify_one(); }
  void SignalAll() { cv_.notify_all(); }

 private:
  std::condition_variable cv_;
};

}  // namespace slipstream::sync

#endif  // SLIPSTREAM_LIBS_SYNC_MUTEX_H_
