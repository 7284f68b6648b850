#include "libs/async/scope.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <exception>
#include <utility>

#include "absl/time/clock.h"

namespace slipstream::async {

namespace {

// The function object lives in this frame for as long as the coroutine that it made.
Async<void> Run(std::function<Async<void>()> coroutine) { co_await coroutine(); }

}  // namespace

bool Scope::Spawn(std::function<Async<void>()> coroutine) {
  {
    sync::MutexLock lock(mutex_);
    if (stopping_) return false;
    ++running_;
  }
  boost::asio::co_spawn(executor_, Run(std::move(coroutine)), [this](std::exception_ptr error) {
    // Coroutines report by value; an exception here is a broken invariant.
    if (error) std::rethrow_exception(error);
    Ended();
  });
  return true;
}

void Scope::Ended() {
  sync::MutexLock lock(mutex_);
  // Signalled under the lock: Close() may destroy this object as soon as it can take it.
  if (--running_ == 0) idle_.SignalAll();
}

void Scope::RequestStop() {
  {
    sync::MutexLock lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  stop_event_.Notify();
}

bool Scope::stop_requested() const {
  sync::MutexLock lock(mutex_);
  return stopping_;
}

Async<bool> Scope::SleepFor(absl::Duration duration) {
  // The version is read before the flag: a stop after the look wakes the wait.
  const uint64_t version = stop_event_.version();
  if (stop_requested()) co_return false;
  const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(duration);
  co_return !co_await stop_event_.Wait(version, deadline);
}

void Scope::Close() {
  RequestStop();
  sync::MutexLock lock(mutex_);
  while (running_ > 0) idle_.Wait(mutex_);
}

}  // namespace slipstream::async
