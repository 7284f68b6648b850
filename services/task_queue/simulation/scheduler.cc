#include "services/task_queue/simulation/scheduler.h"

#include <memory>

#include "libs/async/suspend.h"

namespace slipstream::task_queue::simulation {

Scheduler::~Scheduler() {
  events_.clear();
  Settle();  // the frames that waited in them end here
}

void Scheduler::After(Owner owner, absl::Duration delay, absl::AnyInvocable<void()> event) {
  events_.emplace(std::pair(clock_.Now() + delay, next_event_++), Event{owner, std::move(event)});
}

Async<void> Scheduler::Sleep(Owner owner, absl::Duration delay) {
  co_await async::Suspend<bool>([this, owner, delay](async::Resume<bool> resume) {
    After(owner, delay, [resume = std::move(resume)]() mutable { resume(true); });
  });
}

void Scheduler::Kill(Owner owner) {
  for (auto it = events_.begin(); it != events_.end();) {
    it = it->second.owner == owner ? events_.erase(it) : std::next(it);
  }
  Settle();  // dropped coroutines unwind on their executor
}

void Scheduler::Settle() {
  do {
    io_.restart();
    io_.poll();
    if (outside_count_ == 0) break;
    io_.restart();
    io_.run_one();
  } while (true);
}

bool Scheduler::Step() {
  if (events_.empty()) return false;
  auto it = events_.begin();
  clock_.Advance(it->first.first - clock_.Now());
  Event event = std::move(it->second);
  events_.erase(it);
  ++step_count_;
  event.run();
  Settle();
  return true;
}

}  // namespace slipstream::task_queue::simulation
