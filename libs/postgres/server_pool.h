// The connections to one server, and who waits for them.
//
// Grants go strictly in the order of Enqueue. A released connection goes to the first waiter
// before anything else happens, so nobody who comes later can take it.
//
// Thread safety: the loop's thread only, but for figures(), which any may call.
#ifndef LIBS_POSTGRES_SERVER_POOL_H_
#define LIBS_POSTGRES_SERVER_POOL_H_

#include <array>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/postgres/circuit_breaker.h"
#include "libs/postgres/connector.h"
#include "libs/postgres/event_loop.h"
#include "libs/postgres/link.h"
#include "libs/postgres/pool.h"
#include "libs/postgres/wait_queue.h"
#include "libs/sync/mutex.h"

namespace slipstream::postgres {

class ServerPool {
 public:
  using TimePoint = EventLoop::TimePoint;

  // `options` and `loop` outlive it.
  ServerPool(EventLoop& loop, const PoolOptions& options, ConnInfo info);
  ~ServerPool();

  // Before the loop starts; and after it has stopped.
  void Start() { connector_.Start(); }
  void Stop() { connector_.Stop(); }

  // Grants, now or later, or refuses.
  void Enqueue(std::shared_ptr<Waiter> waiter);
  // Gives back what was granted. It is closed unless it is as it was at the start; `discard`: in
  // any case.
  void Release(Link& link, bool discard = false);
  // Instead of Release, while an overdue statement runs on: the pool takes it back when that ends.
  void Abandon(Link& link);
  void Tick(TimePoint now);
  // The server is not the right one any more: its connections are closed, those in use as they are
  // given back, and new ones are looked for.
  void Leave();
  // The same, and what runs there ends with UNAVAILABLE.
  void Cut(absl::string_view why);
  // Whoever waits is told `status`.
  void RefuseAll(const absl::Status& status);
  // All ends with `status`, for good.
  void Close(const absl::Status& status);

  // Waiters and busy connections.
  size_t load() const { return waiting_.size() + links_.size() - idle_.size(); }
  // Whether whoever comes now has to wait for somebody to release a connection.
  bool exhausted() const { return idle_.empty() && !waiting_.empty(); }
  const ConnInfo& info() const { return connector_.info(); }

  // Of one server; leaks, waits and counts as in PoolFigures.
  struct Figures {
    int open_count = 0, busy_count = 0, waiters_count = 0;
    CircuitState circuit_state = CircuitState::kClosed;
    int64_t acquired_count = 0, acquire_timeouts_count = 0, recycled_count = 0, broken_count = 0;
    absl::Duration busy_time;
    std::vector<Leak> leaks;
    std::vector<float> waits_ms;  // the latest
  };
  Figures figures() const;

 private:
  static constexpr size_t kWaitsCount = 1024;
  static constexpr int kMaxOpeningCount = 4;
  static constexpr size_t kMaxLeaksCount = 20;

  void Grow(TimePoint now);
  bool MayOpen(TimePoint now);
  void OnConnected(absl::StatusOr<pg_conn*> connection, TimePoint begun_at);
  void OnConnectFailed(const absl::Status& status, TimePoint begun_at);
  void Offer(Link& link, TimePoint now);
  void Grant(Link& link, const std::shared_ptr<Waiter>& waiter, TimePoint now);
  void OnLeft(Link& link);
  // Closes it, at the end of this round.
  void Retire(Link& link);
  void CloseIdle(TimePoint now);
  void CheckHeld(TimePoint now);
  absl::Status Busy() const;
  absl::Status CircuitOpen(TimePoint now) const;
  void Refuse(const std::shared_ptr<Waiter>& waiter, const absl::Status& status);
  void NoteCounts();

  EventLoop& loop_;
  const PoolOptions& options_;
  Connector connector_;
  std::minstd_rand random_;
  CircuitBreaker breaker_;
  WaitQueue waiting_;
  std::vector<std::unique_ptr<Link>> links_;
  std::vector<Link*> idle_;  // the latest used last
  int opening_count_ = 0;
  int64_t generation_ = 0;
  int failures_count_ = 0;
  TimePoint next_try_{};
  absl::Status last_error_;
  absl::Status closed_;

  mutable sync::Mutex mutex_;
  Figures figures_ ABSL_GUARDED_BY(mutex_);
  size_t next_wait_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_SERVER_POOL_H_
