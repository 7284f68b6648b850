#include "libs/async/runtime.h"

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <thread>
#include <vector>

namespace slipstream::async {

struct Runtime::Impl {
  explicit Impl(int thread_count)
      : context(thread_count), guard(boost::asio::make_work_guard(context)) {
    threads.reserve(thread_count);
    for (int i = 0; i < thread_count; ++i) threads.emplace_back([this] { context.run(); });
  }
  boost::asio::io_context context;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard;
  std::vector<std::thread> threads;
};

Runtime::Runtime(int thread_count)
    : impl_(std::make_unique<Impl>(std::clamp(thread_count, 1, 64))) {}

Runtime::~Runtime() { Stop(); }

Executor Runtime::executor() { return impl_->context.get_executor(); }

void Runtime::Stop() {
  impl_->guard.reset();
  impl_->context.stop();
  for (auto& thread : impl_->threads) {
    if (thread.joinable()) thread.join();
  }
}

}  // namespace slipstream::async
