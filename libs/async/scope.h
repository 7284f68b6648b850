// Owns coroutines: each one spawned in a Scope ends before Close() returns.
//
// Use: a service module has one Scope for its background loops and its streams. A loop looks like
//   while (co_await scope.SleepFor(period)) { engine.Tick(); }
// and ends when the scope is asked to stop.
//
// Thread safety: all methods from any thread. Close() blocks, so never call it on a runtime thread.
#ifndef LIBS_ASYNC_SCOPE_H_
#define LIBS_ASYNC_SCOPE_H_

#include <functional>

#include "absl/time/time.h"
#include "libs/async/async.h"
#include "libs/async/event.h"
#include "libs/sync/mutex.h"

namespace slipstream::async {

class Scope {
 public:
  explicit Scope(Executor executor) : executor_(std::move(executor)) {}
  ~Scope() { Close(); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  const Executor& executor() const { return executor_; }

  // Runs the coroutine on the scope's executor. After RequestStop it is refused (false) and not
  // run.
  bool Spawn(std::function<Async<void>()> coroutine);

  void RequestStop();
  bool stop_requested() const;

  // False when the scope was asked to stop before the time was over.
  Async<bool> SleepFor(absl::Duration duration);

  // Asks to stop and waits for every coroutine to end.
  void Close();

 private:
  void Ended();

  const Executor executor_;
  Event stop_event_;
  mutable sync::Mutex mutex_;
  sync::CondVar idle_;
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace slipstream::async

#endif  // LIBS_ASYNC_SCOPE_H_
