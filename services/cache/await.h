// Runs one coroutine to its end while the calling thread waits: for tests.
//
// On threads that outlive every test: what a store keeps, an event's waiter for one, may still name
// the executor after the coroutine has ended.
#ifndef SERVICES_CACHE_AWAIT_H_
#define SERVICES_CACHE_AWAIT_H_

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <utility>

#include "libs/async/async.h"
#include "libs/async/runtime.h"

namespace slipstream::cache {

template <class T>
T Await(Async<T> coroutine) {
  static auto& runtime = *new async::Runtime(2);
  return boost::asio::co_spawn(runtime.executor(), std::move(coroutine), boost::asio::use_future)
      .get();
}

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_AWAIT_H_
