// One thread that waits for many sockets (epoll), runs what others post, and ticks.
//
// Asio's reactor would do; this one is here because libpq owns its sockets and reads all there is
// at once, so that level-triggered readiness costs no system call a statement beside the read.
//
// Thread safety: Post and Now from any thread. All else, and every callback, on the loop's own
// thread. Stop from the owner; what was posted before it, and what that posts, still runs.
#ifndef LIBS_POSTGRES_EVENT_LOOP_H_
#define LIBS_POSTGRES_EVENT_LOOP_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "libs/clock/clock.h"
#include "libs/sync/mutex.h"

namespace slipstream::postgres {

class EventLoop {
 public:
  // On the clock's monotonic line.
  using TimePoint = std::chrono::steady_clock::time_point;

  // Something with a socket. It outlives the call of OnReady in which it is unwatched (see Post).
  class Watched {
   public:
    virtual ~Watched() = default;
    virtual void OnReady() = 0;

   private:
    friend class EventLoop;
    uint64_t watch_ = 0;  // names it to epoll
  };

  explicit EventLoop(const clock::Clock& clock);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  struct RoundEnd {
    bool busy = false;  // see PostQuietly
    bool soon = false;  // the next round is to end within kSoon, whatever happens
  };

  // `tick` runs at least every kTick. `end_round` is called at the end of each round, in which all
  // sockets that were ready had their turn, and at the end of the loop. `idle`: none was.
  void Start(std::function<void(TimePoint now)> tick,
             std::function<RoundEnd(TimePoint now, bool idle)> end_round);
  void Stop();
  using Work = absl::AnyInvocable<void()>;
  // Runs on the loop's thread, in order. False once the loop has ended: it never runs.
  bool Post(Work work);
  // The same for what could not begin anyway before something else has happened on the loop: while
  // the loop says that it is busy, it is not woken for this, which saves two system calls.
  bool PostQuietly(Work work);
  // From any thread.
  TimePoint Now() const { return TimePoint(absl::ToChronoNanoseconds(clock_.Monotonic())); }

  void Watch(int fd, Watched* watched);
  // Whether readiness to write is worth a call too.
  void WantWrite(int fd, Watched* watched, bool wanted);
  void Unwatch(int fd, Watched* watched);

  static constexpr std::chrono::milliseconds kTick{10};
  static constexpr std::chrono::milliseconds kSoon{1};

 private:
  void Run();
  bool Push(Work work);
  void Wake();
  // False: there was nothing, and with `last` there never will be again.
  bool RunPosted(bool last = false);

  const clock::Clock& clock_;
  std::function<void(TimePoint)> tick_;
  std::function<RoundEnd(TimePoint, bool)> end_round_;
  // By number, not by address: libpq closes a broken socket itself, and for as long as a forked
  // child holds it too, epoll goes on to report it.
  absl::flat_hash_map<uint64_t, Watched*> watched_;
  uint64_t next_watch_ = 1;  // 0: the eventfd
  int epoll_ = -1;
  int wake_ = -1;
  std::atomic<bool> woken_{false};
  std::atomic<bool> has_posted_{false};
  std::atomic<bool> busy_{false};
  std::atomic<bool> stopping_{false};
  sync::Mutex mutex_;
  std::vector<Work> posted_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Work> running_;  // kept for its capacity
  std::thread thread_;
};

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_EVENT_LOOP_H_
