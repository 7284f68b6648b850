// A worker of the task queue: takes tasks over one stream, runs their handlers, and hands in
// results.
//
//   auto worker = Worker::Create(options, GrpcStreams(channel, token_provider));
//   (*worker)->Start();
//   ...                                  // SIGTERM
//   (*worker)->Drain(clock.Now() + absl::Seconds(10));
//   (*worker)->Stop();
//
// It reconnects by itself, with jittered backoff; within the queue's grace time it goes on with the
// leases it holds. A result is kept and sent again until the queue has acknowledged it. A server
// that answers no heartbeat for two of the intervals it asked for is left for the next that
// `streams` opens a stream to.
//
// Thread safety: Start, Drain, Stop and the destructor from the owner, never from one of the
// executor's threads (they block); the rest from any thread. Handlers run as coroutines on the
// executor. Errors: INVALID_ARGUMENT from Create names the option.
#ifndef LIBS_CLIENT_WORKER_WORKER_H_
#define LIBS_CLIENT_WORKER_WORKER_H_

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/async/async.h"
#include "libs/async/event.h"
#include "libs/async/scope.h"
#include "libs/client/worker/task.h"
#include "libs/client/worker/worker_session.h"
#include "libs/client/worker/worker_stream.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/random/random.h"
#include "libs/sync/mutex.h"

namespace slipstream::worker_client {

struct WorkerOptions {
  Executor executor;                    // outlives the worker
  const clock::Clock* clock = nullptr;  // likewise
  random::Random* random = nullptr;     // likewise
  logging::Logger logger;               // never given arguments or results
  std::string name;                     // for people: host and process id; 1-128 bytes
  int slots = 4;                        // handlers at once, 1-10,000
  std::vector<TaskRegistration> tasks;  // 1-100
  absl::Duration progress_interval = absl::Milliseconds(100);  // per task, at least
  // Between two messages to the queue, at least; the first after a quiet time goes at once. Under
  // load it makes one message of many reports, which is what a report costs.
  absl::Duration report_interval = absl::Milliseconds(1);
  absl::Duration welcome_timeout = absl::Seconds(5);
  absl::Duration hand_back_timeout = absl::Seconds(2);  // after a drain's deadline
  // Wait before a new stream: random between half and all of a time that doubles from min to max.
  // The min is well below the queue's grace time (2 s), within which a session is resumed.
  absl::Duration min_backoff = absl::Milliseconds(100);
  absl::Duration max_backoff = absl::Seconds(5);
};

class Worker {
 public:
  static absl::StatusOr<std::unique_ptr<Worker>> Create(WorkerOptions options,
                                                        StreamFactory streams);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void Start();

  // Takes no new task; running ones may end until `deadline`, then they are told to stop and are
  // handed back, which costs them no attempt. Returns once the queue has all of it, at the latest
  // hand_back_timeout after the deadline.
  void Drain(absl::Time deadline);

  // Tells running handlers to stop, waits for them to return and ends the stream. What was not
  // handed in runs again elsewhere once its lease is over.
  void Stop();

  // The queue has welcomed this worker and the stream stands.
  bool connected() const;
  WorkerStats stats() const;

  // Looks at the clock now. The worker does so by itself whenever something is due in real time;
  // tests with a fake clock say so.
  void Wake() { wake_.Notify(); }

 private:
  Worker(WorkerOptions options, StreamFactory streams);

  Async<void> RunStreams();
  Async<void> RunOneStream(bool* welcomed);
  Async<void> Pump();
  Async<void> LeaveSilentServers();
  // One run of a handler.
  struct Attempt {
    Attempt(Worker* worker, const task_queue::v1::WorkResponse::Assignment& assignment);
    LeaseKey key() const { return {context.info().task_id, context.info().lease_epoch}; }
    TaskContext context;
    std::shared_ptr<const TaskArgs> args;
  };
  struct Actions {
    std::vector<std::pair<std::shared_ptr<TaskContext>, std::string>> stop;
    std::vector<std::shared_ptr<Attempt>> start;
    std::vector<WorkerSession::Refusal> refusals;
  };
  Actions TakeTaskActions(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Perform(Actions actions);
  Async<void> RunTask(std::shared_ptr<Attempt> attempt);
  bool IsInline(const std::string& task_type) const;
  // Those whose handlers are inline, one after the other; the rest stays in `attempts`.
  void RunInline(std::vector<std::shared_ptr<Attempt>>* attempts);
  Async<absl::StatusOr<TaskResult>> CallHandler(const TaskHandler& handler, const TaskArgs& args,
                                                TaskContext& context);
  void LogDisconnect(const absl::Status& status);
  absl::Duration NextBackoff(absl::Duration* backoff);

  const WorkerOptions options_;
  const StreamFactory streams_;
  std::map<std::string, const TaskRegistration*, std::less<>> handlers_;
  async::Event wake_;
  mutable sync::Mutex mutex_;
  sync::CondVar drained_signal_;
  WorkerSession session_ ABSL_GUARDED_BY(mutex_);
  // Handlers that have not returned; a context lives in its handler's coroutine.
  std::unordered_map<LeaseKey, std::shared_ptr<TaskContext>, LeaseKeyHash> running_
      ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<WorkerStream> stream_ ABSL_GUARDED_BY(mutex_);
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool drained_ ABSL_GUARDED_BY(mutex_) = false;
  absl::StatusCode logged_code_ = absl::StatusCode::kOk;  // of the stream loop alone
  async::Scope scope_;  // last: its coroutines use all of the above
};

}  // namespace slipstream::worker_client

#endif  // LIBS_CLIENT_WORKER_WORKER_H_
