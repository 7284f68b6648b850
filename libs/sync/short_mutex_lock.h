// Holds a mutex for its own lifetime, as MutexLock does, where the mutex is only ever held for less
// than a microsecond: it looks at the mutex for about that long before it sleeps, because to sleep
// and to be woken takes longer.
//
// Thread safety: as MutexLock.
#ifndef SLIPSTREAM_LIBS_SYNC_SHORT_MUTEX_LOCK_H_
#define SLIPSTREAM_LIBS_SYNC_SHORT_MUTEX_LOCK_H_

#include "libs/sync/mutex.h"

namespace slipstream::sync {

class ABSL_SCOPED_LOCKABLE ShortMutexLock {
 public:
  explicit ShortMutexLock(Mutex& mu) ABSL_EXCLUSIVE_LOCK_FUNCTION(mu) : mu_(mu) { Lock(); }
  ~ShortMutexLock() ABSL_UNLOCK_FUNCTION() { mu_.Unlock(); }
  ShortMutexLock(const ShortMutexLock&) = delete;
  ShortMutexLock& operator=(const ShortMutexLock&) = delete;

 private:
  static constexpr int kLooksCount = 64;

  // The analysis does not follow a lock that is taken in one of two places.
  void Lock() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (int i = 0; i < kLooksCount; ++i) {
      if (mu_.TryLock()) return;
      Pause();
    }
    mu_.Lock();
  }
  static void Pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  Mutex& mu_;
};

}  // namespace slipstream::sync

#endif  // SLIPSTREAM_LIBS_SYNC_SHORT_MUTEX_LOCK_H_
