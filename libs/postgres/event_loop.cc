#include "libs/postgres/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <utility>

namespace slipstream::postgres {

EventLoop::EventLoop()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
}

EventLoop::~EventLoop() {
  Stop();
  close(wake_);
  close(epoll_);
}

void EventLoop::Start(std::function<void(TimePoint)> tick) {
  tick_ = std::move(tick);
  thread_ = std::thread([this] { Run(); });
}

void EventLoop::Stop() {
  if (!thread_.joinable()) return;
  Post([this] { stopping_.store(true); });
  thread_.join();
}

bool EventLoop::Post(std::function<void()> work) {
  {
    sync::MutexLock lock(mutex_);
    if (ended_) return false;
    posted_.push_back(std::move(work));
  }
  if (woken_.exchange(true)) return true;  // whoever woke it has not been heard yet
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof(one));
  return true;
}

bool EventLoop::RunPosted(bool last) {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(wake_, &count, sizeof(count));
  woken_.store(false);
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
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = watched;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
}

void EventLoop::WantWrite(int fd, Watched* watched, bool wanted) {
  epoll_event event{};
  event.events = wanted ? (EPOLLIN | EPOLLOUT) : EPOLLIN;
  event.data.ptr = watched;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::Unwatch(int fd) { epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }

void EventLoop::Run() {
  thread_id_.store(std::this_thread::get_id());
  std::array<epoll_event, 64> events;
  TimePoint next_tick = std::chrono::steady_clock::now() + kTick;
  while (!stopping_.load()) {
    const int count = epoll_wait(epoll_, events.data(), events.size(), kTick.count());
    bool posted = false;
    for (int i = 0; i < count; ++i) {
      if (events[i].data.ptr == nullptr) {
        posted = true;
      } else {
        static_cast<Watched*>(events[i].data.ptr)->OnReady();
      }
    }
    // After the sockets: what was unwatched above is freed by what was posted then, next round.
    if (posted) RunPosted();
    const TimePoint now = std::chrono::steady_clock::now();
    if (now >= next_tick) {
      tick_(now);
      next_tick = now + kTick;
    }
  }
  while (RunPosted(/*last=*/true)) {
  }
}

}  // namespace slipstream::postgres
