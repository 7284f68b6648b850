#include "libs/async/event.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "libs/async/suspend.h"

namespace slipstream::async {

struct Event::Waiter {
  Waiter(Resume<bool> r, const Executor& executor) : resume(std::move(r)), timer(executor) {}

  // Whoever comes first, the notifier or the timer, decides what the wait answers.
  void Finish(bool by_notify) {
    if (done.exchange(true)) return;
    notified = by_notify;
    Release();
  }

  // Called once by the one that finishes and once by Wait when it has armed both sources; the last
  // of the two resumes the coroutine. Before that the coroutine's frame, which Wait still reads
  // from, would be gone under it, and the timer would be touched by two threads.
  void Release() {
    if (holders.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
    if (notified && timed) timer.cancel();
    resume(notified);
  }

  Resume<bool> resume;
  boost::asio::steady_timer timer;
  bool timed = false;
  bool notified = false;
  std::atomic<bool> done{false};
  std::atomic<int> holders{2};
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
    waiter->Release();  // nothing of this frame is touched from here on
  });
}

}  // namespace slipstream::async
