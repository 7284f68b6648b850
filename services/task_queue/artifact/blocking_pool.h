// BlockingPool: threads for calls that block, such as files, awaited from coroutines.
//
// Thread safety: Run from any coroutine. The destructor joins; nothing may wait in Run by then.
#ifndef SERVICES_TASK_QUEUE_ARTIFACT_BLOCKING_POOL_H_
#define SERVICES_TASK_QUEUE_ARTIFACT_BLOCKING_POOL_H_

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <utility>

#include "libs/async/suspend.h"

namespace slipstream::artifact {

class BlockingPool {
 public:
  explicit BlockingPool(int threads_count) : pool_(static_cast<size_t>(threads_count)) {}
  ~BlockingPool() { pool_.join(); }

  // Runs `call` on one of the pool's threads; the coroutine goes on on its own executor.
  template <class T, class Call>
  Async<T> Run(Call call) {
    co_return co_await async::Suspend<T>([&](async::Resume<T> resume) {
      // `call` is on this coroutine's frame, which stays until it is resumed.
      boost::asio::post(pool_, [&call, r = std::move(resume)]() mutable { r(call()); });
    });
  }

 private:
  boost::asio::thread_pool pool_;
};

}  // namespace slipstream::artifact

#endif  // SERVICES_TASK_QUEUE_ARTIFACT_BLOCKING_POOL_H_
