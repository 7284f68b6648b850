// The threads that run a process's coroutines: one io_context and N owned threads.
//
// Thread safety: executor() and Post from any thread. Stop() joins; it is called by the owner, not
// from one of the runtime's own threads.
#ifndef LIBS_ASYNC_RUNTIME_H_
#define LIBS_ASYNC_RUNTIME_H_

#include <memory>

#include "libs/async/async.h"

namespace slipstream::async {

class Runtime {
 public:
  // `thread_count` is 1 to 64.
  explicit Runtime(int thread_count);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  Executor executor();

  // Ends the threads. Scopes must be closed before: a coroutine that still waits never resumes.
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace slipstream::async

#endif  // LIBS_ASYNC_RUNTIME_H_
