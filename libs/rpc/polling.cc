#include "libs/rpc/polling.h"

#include <dlfcn.h>
#include <grpc/grpc.h>
#include <pthread.h>

#include <cstring>
#include <map>
#include <thread>

#include "libs/sync/mutex.h"

namespace slipstream::rpc {

namespace {

// As gRPC names the threads of its callback queues.
constexpr char kThreadName[] = "nexting_thread";

// The threads of each callback queue. Never destroyed: gRPC's threads may outlive statics.
class Pollers {
 public:
  static Pollers& Get() {
    static auto* const pollers = new Pollers;
    return *pollers;
  }

  // Returns when the thread is to wait for events: at once, or when one that did has left.
  void Enter(grpc_completion_queue* queue) {
    sync::MutexLock lock(mutex_);
    Queue& state = queues_[queue];
    ++state.threads_count;
    while (state.waiting_count >= MaxWaitingCount()) changed_.Wait(mutex_);
    ++state.waiting_count;
  }
  // The thread has seen the queue's end: the others are to see it, too.
  void Leave(grpc_completion_queue* queue) {
    sync::MutexLock lock(mutex_);
    auto it = queues_.find(queue);
    --it->second.waiting_count;
    if (--it->second.threads_count == 0) queues_.erase(it);
    changed_.SignalAll();
  }
  PollingFigures Figures() {
    sync::MutexLock lock(mutex_);
    PollingFigures out;
    for (const auto& [queue, state] : queues_) {
      out.waiting_count += state.waiting_count;
      out.parked_count += state.threads_count - state.waiting_count;
    }
    return out;
  }

 private:
  struct Queue {
    int threads_count = 0;
    int waiting_count = 0;
  };
  // Half of gRPC's own number.
  static int MaxWaitingCount() {
    static const int count = static_cast<int>(std::thread::hardware_concurrency()) / 4;
    return count > 1 ? count : 1;
  }

  sync::Mutex mutex_;
  sync::CondVar changed_;
  std::map<grpc_completion_queue*, Queue> queues_ ABSL_GUARDED_BY(mutex_);
};

bool IsCallbackThread() {
  char name[16] = {};
  return pthread_getname_np(pthread_self(), name, sizeof(name)) == 0 &&
         std::strcmp(name, kThreadName) == 0;
}

}  // namespace

PollingFigures Polling() { return Pollers::Get().Figures(); }

}  // namespace slipstream::rpc

// gRPC's C++ half calls this function of its C API by way of the dynamic linker, which takes the
// program's before the library's.

extern "C" grpc_event grpc_completion_queue_next(grpc_completion_queue* queue,
                                                 gpr_timespec deadline, void* reserved) {
  using slipstream::rpc::Pollers;
  static auto* const real = reinterpret_cast<decltype(&grpc_completion_queue_next)>(
      dlsym(RTLD_NEXT, "grpc_completion_queue_next"));
  thread_local const bool callback_thread = slipstream::rpc::IsCallbackThread();
  if (!callback_thread) return real(queue, deadline, reserved);
  thread_local bool entered = false;  // such a thread belongs to one queue
  if (!entered) {
    Pollers::Get().Enter(queue);
    entered = true;
  }
  grpc_event event;
  do {
    event = real(queue, gpr_inf_future(GPR_CLOCK_REALTIME), reserved);
  } while (event.type == GRPC_QUEUE_TIMEOUT);
  if (event.type == GRPC_QUEUE_SHUTDOWN) Pollers::Get().Leave(queue);
  return event;
}
