// One thread that waits for many sockets (epoll), runs what others post, and ticks.
//
// Asio's reactor would do; this one is here because libpq owns its sockets and reads all there is
// at once, so that level-triggered readiness costs no system call a statement beside the read.
//
// Thread safety: Post and OnLoop from any thread. All else, and every callback, on the loop's own
// thread. Stop from the owner; what was posted before it, and what that posts, still runs.
#ifndef LIBS_POSTGRES_EVENT_LOOP_H_
#define LIBS_POSTGRES_EVENT_LOOP_H_

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "libs/sync/mutex.h"

namespace slipstream::postgres {

class EventLoop {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // Something with a socket. It outlives the round in which it is unwatched (see Post).
  class Watched {
   public:
    virtual ~Watched() = default;
    virtual void OnReady() = 0;
  };

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // `tick` runs at least every kTick.
  void Start(std::function<void(TimePoint now)> tick);
  void Stop();
  // Runs on the loop's thread, in order. False once the loop has ended: it never runs.
  bool Post(std::function<void()> work);
  bool OnLoop() const { return std::this_thread::get_id() == thread_id_.load(); }

  void Watch(int fd, Watched* watched);
  // Whether readiness to write is worth a call too.
  void WantWrite(int fd, Watched* watched, bool wanted);
  void Unwatch(int fd);

  static constexpr std::chrono::milliseconds kTick{10};

 private:
  void Run();
  // False: there was nothing, and with `last` there never will be again.
  bool RunPosted(bool last = false);

  std::function<void(TimePoint)> tick_;
  int epoll_ = -1;
  int wake_ = -1;
  std::atomic<bool> woken_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<std::thread::id> thread_id_{};
  sync::Mutex mutex_;
  std::vector<std::function<void()>> posted_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::function<void()>> running_;  // kept for its capacity
  std::thread thread_;
};

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_EVENT_LOOP_H_
