// Requests that have ended and whose callers have not heard of it.
//
// Callers that go on together cost less than each alone does: one post, one thread woken, and what
// they write leaves together. So while others wait for connections, when a caller has waited for
// much longer anyway, they are held back until there are kMaxCount, for kMaxHold at most.
//
// Pure but for the posts: time is given. Thread safety: one thread at a time.
#ifndef LIBS_POSTGRES_ENDED_REQUESTS_H_
#define LIBS_POSTGRES_ENDED_REQUESTS_H_

#include <chrono>
#include <cstddef>
#include <utility>
#include <vector>

#include "libs/async/suspend.h"

namespace slipstream::postgres {

class EndedRequests {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // `resume` is told true, on `executor`.
  void Add(Executor executor, async::Resume<bool> resume) {
    ended_.emplace_back(std::move(executor), std::move(resume));
  }
  // At the end of each round of the loop. True: some are held back, so it is to be called again
  // within a millisecond. `may_hold`: whoever comes now has to wait for a connection.
  bool Tell(TimePoint now, bool may_hold);

  static constexpr size_t kMaxCount = 16;
  static constexpr std::chrono::microseconds kMaxHold{500};

 private:
  std::vector<std::pair<Executor, async::Resume<bool>>> ended_;
  bool holds_ = false;
  TimePoint held_since_{};  // while it holds
};

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_ENDED_REQUESTS_H_
