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
    while (!state.shut_down && state.waiting_count >= MaxPollingCount()) changed_.Wait(mutex_);
    ++state.waiting_count;
  }
  // Whoever shuts the queue down may wait for all of its threads at once.
  void ShutDown(grpc_completion_queue* queue) {
    sync::MutexLock lock(mutex_);
    if (auto it = queues_.find(queue); it != queues_.end()) it->second.shut_down = true;
    changed_.SignalAll();
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
    bool shut_down = false;
  };
  sync::Mutex mutex_;
  sync::CondVar changed_;
  std::map<grpc_completion_queue*, Queue> queues_ ABSL_GUARDED_BY(mutex_);
};

// Of a callback thread.
struct OwnQueue {
  grpc_completion_queue* queue = nullptr;  // null until it first waits
  bool ended_here = false;                 // by one of its own callbacks
};
thread_local OwnQueue own_queue;

bool IsCallbackThread() {
  char name[16] = {};
  return pthread_getname_np(pthread_self(), name, sizeof(name)) == 0 &&
         std::strcmp(name, kThreadName) == 0;
}

}  // namespace

int MaxPollingCount() {
  static const int count = static_cast<int>(std::thread::hardware_concurrency()) / 4;
  return count > 1 ? count : 1;
}

PollingFigures Polling() { return Pollers::Get().Figures(); }

}  // namespace slipstream::rpc

// gRPC's C++ half calls these functions of its C API by way of the dynamic linker, which takes the
// program's before the library's.

extern "C" grpc_event grpc_completion_queue_next(grpc_completion_queue* queue,
                                                 gpr_timespec deadline, void* reserved) {
  using slipstream::rpc::own_queue;
  using slipstream::rpc::Pollers;
  static auto* const real = reinterpret_cast<decltype(&grpc_completion_queue_next)>(
      dlsym(RTLD_NEXT, "grpc_completion_queue_next"));
  thread_local const bool callback_thread = slipstream::rpc::IsCallbackThread();
  if (!callback_thread) return real(queue, deadline, reserved);
  if (own_queue.queue == nullptr) {  // such a thread belongs to one queue
    Pollers::Get().Enter(queue);
    own_queue.queue = queue;
  }
  grpc_event event{};
  event.type = GRPC_QUEUE_SHUTDOWN;
  if (own_queue.ended_here) {
    // The queue is gone, and nobody can wait for this thread any more.
    pthread_detach(pthread_self());
  } else {
    do {
      event = real(queue, gpr_inf_future(GPR_CLOCK_REALTIME), reserved);
    } while (event.type == GRPC_QUEUE_TIMEOUT);
  }
  if (event.type == GRPC_QUEUE_SHUTDOWN) Pollers::Get().Leave(queue);
  return event;
}

extern "C" void grpc_completion_queue_shutdown(grpc_completion_queue* queue) {
  using slipstream::rpc::own_queue;
  static auto* const real = reinterpret_cast<decltype(&grpc_completion_queue_shutdown)>(
      dlsym(RTLD_NEXT, "grpc_completion_queue_shutdown"));
  if (own_queue.queue == queue) own_queue.ended_here = true;
  real(queue);
  slipstream::rpc::Pollers::Get().ShutDown(queue);
}
