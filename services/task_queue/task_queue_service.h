// TaskQueueService over gRPC: from requests to the engine and back.
//
// Thread safety: as gRPC calls it, from many threads at once.
#ifndef SERVICES_TASK_QUEUE_TASK_QUEUE_SERVICE_H_
#define SERVICES_TASK_QUEUE_TASK_QUEUE_SERVICE_H_

#include <atomic>

#include "libs/auth/permissions.h"
#include "libs/page_token/page_token.h"
#include "libs/rpc/arena_messages.h"
#include "libs/rpc/handler.h"
#include "services/task_queue/caller.h"
#include "services/task_queue/task_queue_engine.h"
#include "slipstream/task_queue/v1/task_queue.grpc.pb.h"

namespace slipstream::task_queue {

class TaskQueueService final : public v1::TaskQueueService::CallbackService {
 public:
  struct Deps {
    const rpc::Dispatcher& dispatcher;
    const auth::PermissionMap& permissions;
    const clock::Clock& clock;
    TaskQueueEngine& engine;
    TaskTypeRegistry& registry;
    WorkerSessions& sessions;
    TaskSignals& signals;
    page_token::PageTokens page_tokens;
    bool durable;  // the store: other servers may share it
  };
  TaskQueueService(Deps deps, rpc::MethodTable methods)
      : deps_(std::move(deps)), rpc_(deps_.dispatcher, std::move(methods)) {
    SetMessageAllocatorFor_SubmitTask(&submit_messages_);
    SetMessageAllocatorFor_BulkSubmitTasks(&bulk_submit_messages_);
    SetMessageAllocatorFor_BulkGetTasks(&bulk_get_messages_);
  }

  // Ends the open watches.
  void Stop();

  grpc::ServerUnaryReactor* SubmitTask(grpc::CallbackServerContext*, const v1::SubmitTaskRequest*,
                                       v1::Task*) override;
  grpc::ServerUnaryReactor* BulkSubmitTasks(grpc::CallbackServerContext*,
                                            const v1::BulkSubmitTasksRequest*,
                                            v1::BulkSubmitTasksResponse*) override;
  grpc::ServerUnaryReactor* GetTask(grpc::CallbackServerContext*, const v1::GetTaskRequest*,
                                    v1::Task*) override;
  grpc::ServerUnaryReactor* BulkGetTasks(grpc::CallbackServerContext*,
                                         const v1::BulkGetTasksRequest*,
                                         v1::BulkGetTasksResponse*) override;
  grpc::ServerUnaryReactor* ListTasks(grpc::CallbackServerContext*, const v1::ListTasksRequest*,
                                      v1::ListTasksResponse*) override;
  grpc::ServerUnaryReactor* CancelTask(grpc::CallbackServerContext*, const v1::CancelTaskRequest*,
                                       v1::Task*) override;
  grpc::ServerUnaryReactor* RestartTask(grpc::CallbackServerContext*, const v1::RestartTaskRequest*,
                                        v1::Task*) override;
  grpc::ServerUnaryReactor* PurgeQueue(grpc::CallbackServerContext*, const v1::PurgeQueueRequest*,
                                       v1::PurgeQueueResponse*) override;
  grpc::ServerUnaryReactor* PauseQueue(grpc::CallbackServerContext*, const v1::PauseQueueRequest*,
                                       v1::PauseQueueResponse*) override;
  grpc::ServerUnaryReactor* ResumeQueue(grpc::CallbackServerContext*, const v1::ResumeQueueRequest*,
                                        v1::ResumeQueueResponse*) override;
  grpc::ServerUnaryReactor* GetQueueStats(grpc::CallbackServerContext*,
                                          const v1::GetQueueStatsRequest*,
                                          v1::QueueStats*) override;
  grpc::ServerUnaryReactor* CleanupTasks(grpc::CallbackServerContext*,
                                         const v1::CleanupTasksRequest*,
                                         v1::CleanupTasksResponse*) override;
  grpc::ServerUnaryReactor* ListTaskTypes(grpc::CallbackServerContext*,
                                          const v1::ListTaskTypesRequest*,
                                          v1::ListTaskTypesResponse*) override;
  grpc::ServerWriteReactor<v1::Task>* WatchTask(grpc::CallbackServerContext*,
                                                const v1::WatchTaskRequest*) override;

 private:
  Caller CallerOf(const rpc::CallContext& call) const;
  Async<absl::Status> Submit(rpc::CallContext& call, const v1::SubmitTaskRequest& request,
                             v1::Task* response);
  Async<absl::Status> BulkSubmit(rpc::CallContext& call, const v1::BulkSubmitTasksRequest& request,
                                 v1::BulkSubmitTasksResponse* response);
  Async<absl::Status> Get(rpc::CallContext& call, const v1::GetTaskRequest& request,
                          v1::Task* response);
  Async<absl::Status> BulkGet(rpc::CallContext& call, const v1::BulkGetTasksRequest& request,
                              v1::BulkGetTasksResponse* response);
  Async<absl::Status> List(rpc::CallContext& call, const v1::ListTasksRequest& request,
                           v1::ListTasksResponse* response);
  Async<absl::Status> Watch(rpc::CallContext& call, const v1::WatchTaskRequest& request,
                            rpc::Sender<v1::Task>& out);
  void ListTypes(v1::ListTaskTypesResponse* response, const std::vector<std::string>& paused);
  absl::Status SetRedactedArgs(const TaskRecord& task, v1::Task* out) const;

  const Deps deps_;
  // Of the methods that are called most.
  rpc::ArenaMessages<v1::SubmitTaskRequest, v1::Task> submit_messages_;
  rpc::ArenaMessages<v1::BulkSubmitTasksRequest, v1::BulkSubmitTasksResponse> bulk_submit_messages_;
  rpc::ArenaMessages<v1::BulkGetTasksRequest, v1::BulkGetTasksResponse> bulk_get_messages_;
  rpc::Endpoint rpc_;
  std::atomic<bool> stopping_{false};
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_TASK_QUEUE_SERVICE_H_
