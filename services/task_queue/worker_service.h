// WorkerService over gRPC: one bidi stream is one worker session.
//
// While the store is away the stream stays open: reports wait here and are tried again.
//
// Thread safety: as gRPC calls it, from many threads at once.
#ifndef SERVICES_TASK_QUEUE_WORKER_SERVICE_H_
#define SERVICES_TASK_QUEUE_WORKER_SERVICE_H_

#include "libs/async/event.h"
#include "libs/random/random.h"
#include "libs/rpc/handler.h"
#include "libs/sync/mutex.h"
#include "services/task_queue/worker_sessions.h"
#include "slipstream/task_queue/v1/worker.grpc.pb.h"

namespace slipstream::task_queue {

class WorkerStream;

class WorkerService final : public v1::WorkerService::CallbackService {
 public:
  struct Deps {
    const rpc::Dispatcher& dispatcher;
    WorkerSessions& sessions;
    TaskSignals& signals;
    random::Random& random;
    WorkerTimes times;
    int64_t max_result_bytes;
  };
  WorkerService(Deps deps, rpc::MethodTable methods)
      : deps_(std::move(deps)), rpc_(deps_.dispatcher, std::move(methods)) {}

  grpc::ServerBidiReactor<v1::WorkRequest, v1::WorkResponse>* Work(
      grpc::CallbackServerContext* context) override;

 private:
  using Requests = rpc::Receiver<v1::WorkRequest>;
  using Responses = rpc::Sender<v1::WorkResponse>;

  Async<absl::Status> Serve(rpc::CallContext& call, grpc::CallbackServerContext* context,
                            Requests& in, Responses& out);
  // Messages of reports that are being stored while the next message is read. Several at a time of
  // outcomes alone: they are of different tasks, so their order is nothing to anybody.
  struct Storing {
    async::Event changed;
    sync::Mutex mu;
    int messages_count ABSL_GUARDED_BY(mu) = 0;
    // Those that the store could not take at once: they wait for it aside, within bounds, so that
    // heartbeats and what the store does take are still read.
    int aside_count ABSL_GUARDED_BY(mu) = 0;
    size_t aside_bytes ABSL_GUARDED_BY(mu) = 0;
    absl::Status ended ABSL_GUARDED_BY(mu);  // of the first that could not be
  };
  // One message of them; the bytes it adds to aside_bytes, once it is there.
  struct StoredMessage {
    bool aside = false;
    size_t bytes = 0;
  };
  // One stream while it lasts.
  struct Conversation {
    const rpc::CallContext& call;
    const std::string session_id;
    WorkerStream& stream;
    std::shared_ptr<async::Event> ended;  // notified when the client is gone
    std::shared_ptr<Storing> storing;
  };
  Async<absl::Status> Handle(Conversation& with, const v1::WorkRequest& request);
  Async<absl::Status> HandleOther(Conversation& with, const v1::WorkRequest& message);
  enum class Aside { kLeftOut, kCounted };
  // Until no more than so many messages are being stored.
  Async<absl::Status> WaitStored(Conversation& with, int messages_count, Aside aside);
  void StoreMeanwhile(Conversation& with, std::vector<WorkerReport> reports);
  // Until all are stored or the stream ends. A progress that the store can't take is dropped: the
  // next one is newer.
  Async<absl::Status> HandleReports(Conversation& with, std::vector<WorkerReport> reports,
                                    StoredMessage& message);
  static void PutAside(Storing& storing, StoredMessage& message);

  const Deps deps_;
  rpc::Endpoint rpc_;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_WORKER_SERVICE_H_
