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
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <utility>

#include "libs/async/async.h"

namespace slipstream::async {

// A move-only callback that is called once.
template <class T>
class Resume {
 public:
  Resume() = default;

  template <class Handler>
  static Resume From(Handler handler, Executor fallback) {
    Resume out;
    out.impl_ = std::make_unique<Impl<Handler>>(std::move(handler), std::move(fallback));
    return out;
  }

  explicit operator bool() const { return impl_ != nullptr; }

  // Posts the value to the coroutine. The Resume is empty afterwards.
  void operator()(T value) {
    auto impl = std::move(impl_);
    auto* raw = impl.get();
    raw->Run(std::move(impl), std::move(value));
  }

  // Resumes the coroutine here and now, for one post that resumes many of them. REQUIRES: this is a
  // thread of the coroutine's executor, under no lock and in nobody's callback.
  void Here(T value) {
    auto impl = std::move(impl_);
    impl->RunHere(std::move(value));
  }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual void Run(std::unique_ptr<Base> self, T value) = 0;
    virtual void RunHere(T value) = 0;
  };
  template <class Handler>
  struct Impl final : Base {
    Impl(Handler h, Executor fallback)
        : handler(std::move(h)),
          executor(boost::asio::get_associated_executor(handler, fallback)) {}
    void Run(std::unique_ptr<Base> self, T value) override {
      // Posted, never called inline: the caller may hold a lock or be a gRPC thread.
      Executor ex = executor;
      boost::asio::post(ex, [h = std::move(handler), v = std::move(value)]() mutable {
        std::move(h)(std::move(v));
      });
      self.reset();
    }
    void RunHere(T value) override { std::move(handler)(std::move(value)); }
    Handler handler;
    Executor executor;
  };
  std::unique_ptr<Base> impl_;
};

template <class T, class Start>
Async<T> Suspend(Start start) {
  Executor executor = co_await boost::asio::this_coro::executor;
  co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(T)>(
      [&start, &executor](auto handler) { start(Resume<T>::From(std::move(handler), executor)); },
      boost::asio::use_awaitable);
}

}  // namespace slipstream::async

#endif  // LIBS_ASYNC_SUSPEND_H_
