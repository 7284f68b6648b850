#include "libs/postgres/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <utility>

namespace slipstream::postgres {

EventLoop::EventLoop(const clock::Clock& clock)
    : clock_(clock),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = 0;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
}

EventLoop::~EventLoop() {
  Stop();
  close(wake_);
  close(epoll_);
}

void EventLoop::Start(std::function<void(TimePoint)> tick,
                      std::function<RoundEnd(TimePoint, bool)> end_round) {
  tick_ = std::move(tick);
  end_round_ = std::move(end_round);
  thread_ = std::thread([this] { Run(); });
}

void EventLoop::Stop() {
  if (!thread_.joinable()) return;
  Post([this] { stopping_.store(true); });
  thread_.join();
}

bool EventLoop::Push(Work work) {
  {
    sync::MutexLock lock(mutex_);
    if (ended_) return false;
    posted_.push_back(std::move(work));
  }
  // Before busy_ is looked at, as the loop does the two the other way round.
  has_posted_.store(true);
  return true;
}

void EventLoop::Wake() {
  if (woken_.exchange(true)) return;  // whoever woke it has not been heard yet
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof(one));
}

bool EventLoop::Post(Work work) {
  if (!Push(std::move(work))) return false;
  Wake();
  return true;
}

bool EventLoop::PostQuietly(Work work) {
  if (!Push(std::move(work))) return false;
  if (!busy_.load()) Wake();
  return true;
}

bool EventLoop::RunPosted(bool last) {
  has_posted_.store(false);
  {
    sync::MutexLock lock(mutex_);
    running_.swap(posted_);
    if (running_.empty()) {
      ended_ = last;
      return false;
    }
  }
  for (auto& work : running_) work();
  running_.clear();
  return true;
}

void EventLoop::Watch(int fd, Watched* watched) {
  watched->watch_ = next_watch_++;
  watched_[watched->watch_] = watched;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = watched->watch_;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
}

void EventLoop::WantWrite(int fd, Watched* watched, bool wanted) {
  epoll_event event{};
  event.events = wanted ? (EPOLLIN | EPOLLOUT) : EPOLLIN;
  event.data.u64 = watched->watch_;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::Unwatch(int fd, Watched* watched) {
  watched_.erase(watched->watch_);
  epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
}

void EventLoop::Run() {
  std::array<epoll_event, 64> events;
  TimePoint next_tick = Now() + kTick;
  RoundEnd end;
  while (!stopping_.load()) {
    const auto longest = end.soon ? kSoon : kTick;
    const int count =
        epoll_wait(epoll_, events.data(), events.size(), static_cast<int>(longest.count()));
    for (int i = 0; i < count; ++i) {
      // A copy: the struct is packed, so nothing may refer to what is in it.
      const uint64_t watch = events[i].data.u64;
      if (watch == 0) {
        uint64_t wakes = 0;
        [[maybe_unused]] const ssize_t got = read(wake_, &wakes, sizeof(wakes));
        woken_.store(false);
      } else if (const auto found = watched_.find(watch); found != watched_.end()) {
        found->second->OnReady();
      }
    }
    // After the sockets, so that those who wait already are served before those who come.
    if (has_posted_.load()) RunPosted();
    const TimePoint now = Now();
    if (now >= next_tick) {
      tick_(now);
      next_tick = now + kTick;
    }
    end = end_round_(now, count <= 0);
    busy_.store(end.busy);
    if (!end.busy && has_posted_.load()) Wake();
  }
  while (RunPosted(/*last=*/true)) {
  }
  end_round_(Now(), /*idle=*/true);
}

}  // namespace slipstream::postgres
