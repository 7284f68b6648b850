#include "libs/async/event.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "libs/async/suspend.h"

namespace slipstream::async {

struct Event::Waiter {
  Waiter(Resume<bool> r, const Executor& executor) : resume(std::move(r)), timer(executor) {}

  // Whoever comes first, the notifier or the timer, resumes the coroutine. The timer is started
  // before the waiter becomes visible to notifiers and touched by the winner alone afterwards.
  void Finish(bool notified) {
    if (done.exchange(true)) return;
    if (notified && timed) timer.cancel();
    resume(notified);
  }

  Resume<bool> resume;
  boost::asio::steady_timer timer;
  bool timed = false;
  std::atomic<bool> done{false};
};

Event::~Event() { Notify(); }

uint64_t Event::version() const {
  sync::MutexLock lock(mutex_);
  return version_;
}

void Event::Notify() {
  std::vector<std::shared_ptr<Waiter>> waiters;
  {
    sync::MutexLock lock(mutex_);
    ++version_;
    waiters.swap(waiters_);
  }
  for (auto& waiter : waiters) waiter->Finish(true);
}

Async<bool> Event::Wait(uint64_t seen, TimePoint deadline) {
  Executor executor = co_await boost::asio::this_coro::executor;
  co_return co_await Suspend<bool>([&](Resume<bool> resume) {
    auto waiter = std::make_shared<Waiter>(std::move(resume), executor);
    if (deadline != TimePoint::max()) {
      waiter->timed = true;
      waiter->timer.expires_at(deadline);
      waiter->timer.async_wait([waiter](const boost::system::error_code& ec) {
        if (!ec) waiter->Finish(false);
      });
    }
    bool changed;
    {
      sync::MutexLock lock(mutex_);
      changed = version_ != seen;
      if (!changed) {
        // Waiters that timed out are swept here, so the list is bounded by the live waiters.
        std::erase_if(waiters_, [](const auto& w) { return w->done.load(); });
        waiters_.push_back(waiter);
      }
    }
    if (changed) waiter->Finish(true);
  });
}

}  // namespace slipstream::async
