// Bridges a callback API to a coroutine: `co_await Suspend<bool>(start)`.
//
// `start` is given a Resume<T>: calling it once, from any thread, resumes the coroutine on the
// coroutine's own executor with that value. Used by the gRPC adapters and by Event.
//
// Thread safety: a Resume may be moved between threads; it is called at most once. Dropping it
// without a call abandons the coroutine (its frame is destroyed), so owners call it on every path.
#ifndef LIBS_ASYNC_SUSPEND_H_
#define LIBS_ASYNC_SUSPEND_H_

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/version.hpp>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "libs/async/async.h"

namespace slipstream::async {

namespace internal {

// use_awaitable's own handler. It is one of Asio's internals: look again at
// boost/asio/impl/use_awaitable.hpp before another version is let in here.
static_assert(BOOST_VERSION / 100 == 1081, "see the comment above");
template <class T>
using CoroutineHandler = boost::asio::detail::awaitable_handler<Executor, T>;

}  // namespace internal

// A move-only callback that is called once.
template <class T>
class Resume {
 public:
  Resume() = default;

  // Of a coroutine that waits; one pointer, which is kept here without an allocation.
  explicit Resume(internal::CoroutineHandler<T> waiting)
      : run_([h = std::move(waiting)](Where where, T value) mutable {
          if (where == Where::kHere) return h(std::move(value));
          const Executor executor = h.get_executor();
          Post(executor, std::move(h), std::move(value));
        }) {}

  // Of any other completion handler.
  template <class Handler>
  static Resume From(Handler handler, Executor fallback) {
    Resume out;
    Executor executor = boost::asio::get_associated_executor(handler, fallback);
    out.run_ = [h = std::move(handler), executor = std::move(executor)](Where where,
                                                                        T value) mutable {
      if (where == Where::kHere) return std::move(h)(std::move(value));
      Post(executor, std::move(h), std::move(value));
    };
    return out;
  }

  explicit operator bool() const { return static_cast<bool>(run_); }

  // Posts the value to the coroutine. The Resume is empty afterwards.
  void operator()(T value) { Take()(Where::kPosted, std::move(value)); }

  // Resumes the coroutine here and now, for one post that resumes many of them. REQUIRES: this is a
  // thread of the coroutine's executor, under no lock and in nobody's callback.
  void Here(T value) { Take()(Where::kHere, std::move(value)); }

 private:
  enum class Where { kPosted, kHere };
  using Run = absl::AnyInvocable<void(Where, T)>;

  // Never called inline: the caller may hold a lock or be a gRPC thread.
  template <class Handler>
  static void Post(const Executor& executor, Handler handler, T value) {
    boost::asio::post(executor, [h = std::move(handler), v = std::move(value)]() mutable {
      std::move(h)(std::move(v));
    });
  }
  // Out of this object, which the call may destroy.
  Run Take() {
    Run run = std::move(run_);
    run_ = nullptr;
    return run;
  }

  Run run_;
};

// What async_initiate does with use_awaitable, in this frame instead of two more.
template <class T, class Start>
Async<T> Suspend(Start start) {
  co_await [&start](auto* frame) {
    using Handler = internal::CoroutineHandler<T>;
    start(Resume<T>(Handler(frame->detach_thread())));
    return static_cast<Handler*>(nullptr);  // it goes on when it is resumed
  };
  for (;;) {
  }  // not reached: the handler gives the value and ends the frame
}

}  // namespace slipstream::async

#endif  // LIBS_ASYNC_SUSPEND_H_
