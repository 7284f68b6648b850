// The coroutine type of the whole suite, and the executor it runs on.
//
// Purpose: `Async<T>` is boost::asio::awaitable and nothing else, so that any two coroutines of the
// suite compose. A coroutine reports failure by its value (absl::Status, StatusOr); exceptions do
// not cross a co_await.
#ifndef LIBS_ASYNC_ASYNC_H_
#define LIBS_ASYNC_ASYNC_H_

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace slipstream {

template <class T>
using Async = boost::asio::awaitable<T>;

using Executor = boost::asio::any_io_executor;

}  // namespace slipstream

#endif  // LIBS_ASYNC_ASYNC_H_
