// Runs one coroutine to its end on the calling thread: for tests.
#ifndef SERVICES_CACHE_AWAIT_H_
#define SERVICES_CACHE_AWAIT_H_

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>
#include <utility>

#include "libs/async/async.h"

namespace slipstream::cache {

template <class T>
T Await(Async<T> coroutine) {
  boost::asio::io_context context;
  auto waits = boost::asio::make_work_guard(context);  // the answer may come from another thread
  std::optional<T> result;
  boost::asio::co_spawn(context, std::move(coroutine), [&](std::exception_ptr error, T value) {
    waits.reset();
    if (error) std::rethrow_exception(error);
    result.emplace(std::move(value));
  });
  context.run();
  return *std::move(result);
}

inline void Await(Async<void> coroutine) {
  boost::asio::io_context context;
  auto waits = boost::asio::make_work_guard(context);
  boost::asio::co_spawn(context, std::move(coroutine), [&](std::exception_ptr error) {
    waits.reset();
    if (error) std::rethrow_exception(error);
  });
  context.run();
}

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_AWAIT_H_
