// A broadcast condition for coroutines: wait until something changed or a time has passed.
//
// Use: read `version()`, look at the state that the event guards, and when there is nothing to do
// `co_await Wait(version, deadline)`. A Notify between the look and the wait is not lost, because
// the version has moved on.
//
// Thread safety: all methods may be called from any thread. Waiters are resumed on their executor.
#ifndef LIBS_ASYNC_EVENT_H_
#define LIBS_ASYNC_EVENT_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "libs/async/async.h"
#include "libs/sync/mutex.h"

namespace slipstream::async {

class Event {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  Event() = default;
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  uint64_t version() const;
  void Notify();

  // True when the version differs from `seen`; false when `deadline` came first.
  Async<bool> Wait(uint64_t seen, TimePoint deadline = TimePoint::max());

 private:
  struct Waiter;
  mutable sync::Mutex mutex_;
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::shared_ptr<Waiter>> waiters_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::async

#endif  // LIBS_ASYNC_EVENT_H_
