// WorkerService over gRPC: one bidi stream is one worker session.
//
// Thread safety: as gRPC calls it, from many threads at once.
#ifndef SERVICES_TASK_QUEUE_WORKER_SERVICE_H_
#define SERVICES_TASK_QUEUE_WORKER_SERVICE_H_

#include "libs/rpc/handler.h"
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
  Async<absl::Status> Converse(const std::string& session_id, Requests& in, WorkerStream& stream);
  Async<absl::Status> Handle(const std::string& session_id, const v1::WorkRequest& request,
                             WorkerStream& stream);
  Async<absl::Status> HandleReports(const std::string& session_id,
                                    std::vector<WorkerReport> reports, WorkerStream& stream);

  const Deps deps_;
  rpc::Endpoint rpc_;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_WORKER_SERVICE_H_
