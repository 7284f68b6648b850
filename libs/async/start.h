// Starts a coroutine on the calling thread: it runs here until it first waits, and goes on on
// `executor` from there. A coroutine that need not wait is over when Start returns.
//
// For the many short coroutines of a server, where boost::asio::co_spawn costs a hop to the
// executor, a hop back to its completion handler, and what both allocate. REQUIRES: the thread may
// run the coroutine's first part, so no lock is held and that part does not block.
//
// Thread safety: from any thread. An exception out of the coroutine is a broken invariant and ends
// the process, as everywhere.
#ifndef LIBS_ASYNC_START_H_
#define LIBS_ASYNC_START_H_

#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/version.hpp>
#include <utility>

#include "libs/async/async.h"

namespace slipstream::async {

namespace internal {

// co_spawn's own parts without its dispatch and post. They are Asio's internals: look again at
// boost/asio/impl/co_spawn.hpp before another version is let in here.
static_assert(BOOST_VERSION / 100 == 1081, "see the comment above");

// The function object lives in this frame for as long as the coroutine that it made.
template <class Coroutine>
boost::asio::awaitable<boost::asio::detail::awaitable_thread_entry_point> RunInFrame(
    Coroutine coroutine) {
  co_await coroutine();
}

}  // namespace internal

// `coroutine` returns an Async<void>.
template <class Coroutine>
void Start(const Executor& executor, Coroutine coroutine) noexcept {
  boost::asio::detail::awaitable_thread<Executor>(internal::RunInFrame(std::move(coroutine)),
                                                  executor, boost::asio::cancellation_slot(),
                                                  boost::asio::cancellation_state())
      .launch();
}

}  // namespace slipstream::async

#endif  // LIBS_ASYNC_START_H_
