// Who waits for a connection: strictly first in, first out, and bounded.
//
// Thread safety: one thread at a time.
#ifndef LIBS_POSTGRES_WAIT_QUEUE_H_
#define LIBS_POSTGRES_WAIT_QUEUE_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "libs/postgres/statement.h"

namespace slipstream::postgres {

class Link;

class Waiter {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  virtual ~Waiter() = default;
  // The link is the waiter's until it releases it.
  virtual void OnGranted(Link& link) = 0;
  virtual void OnRefused(absl::Status status) = 0;
  virtual std::shared_ptr<const Caller> caller() const = 0;

  TimePoint queued_at{};
  TimePoint deadline{};  // of its wait
};

class WaitQueue {
 public:
  using TimePoint = Waiter::TimePoint;

  explicit WaitQueue(size_t max_count) : max_count_(max_count) {}

  size_t size() const { return waiters_.size(); }
  bool empty() const { return waiters_.empty(); }

  // False: full.
  bool Push(std::shared_ptr<Waiter> waiter) {
    if (waiters_.size() >= max_count_) return false;
    waiters_.push_back(std::move(waiter));
    return true;
  }

  // REQUIRES: not empty.
  std::shared_ptr<Waiter> Pop() {
    auto out = std::move(waiters_.front());
    waiters_.pop_front();
    return out;
  }

  // Those whose time is over, in order.
  std::vector<std::shared_ptr<Waiter>> TakeExpired(TimePoint now) {
    return TakeIf([now](const Waiter& waiter) { return waiter.deadline <= now; });
  }
  // Those that came at `time` or before.
  std::vector<std::shared_ptr<Waiter>> TakeQueuedUntil(TimePoint time) {
    return TakeIf([time](const Waiter& waiter) { return waiter.queued_at <= time; });
  }

 private:
  template <class Which>
  std::vector<std::shared_ptr<Waiter>> TakeIf(Which which) {
    std::vector<std::shared_ptr<Waiter>> out;
    for (auto& waiter : waiters_) {
      if (which(*waiter)) out.push_back(std::move(waiter));
    }
    // Mostly none.
    if (!out.empty())
      waiters_.erase(std::remove(waiters_.begin(), waiters_.end(), nullptr), waiters_.end());
    return out;
  }

  const size_t max_count_;
  std::deque<std::shared_ptr<Waiter>> waiters_;
};

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_WAIT_QUEUE_H_
