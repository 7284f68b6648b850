#include "libs/client/task_queue/task_queue_client.h"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "libs/async/deadline.h"
#include "libs/async/event.h"
#include "libs/rpc/client_call.h"
#include "libs/status/status.h"
#include "slipstream/task_queue/v1/task_queue.grpc.pb.h"

namespace slipstream::task_queue_client {

namespace v1 = task_queue::v1;

namespace {

constexpr char kWatchMethod[] = "/slipstream.task_queue.v1.TaskQueueService/WatchTask";
constexpr absl::Duration kMinWatchBackoff = absl::Milliseconds(100);
constexpr absl::Duration kMaxWatchBackoff = absl::Seconds(5);

bool HasEnded(const v1::Task& task) {
  switch (task.status()) {
    case v1::Task::SUCCEEDED:
    case v1::Task::FAILED:
    case v1::Task::CANCELLED:
    case v1::Task::EXPIRED:
      return true;
    default:
      return false;
  }
}

// One call of the callback form: all it needs, in one piece. Ends with its callback.
template <class Response>
struct PendingCall {
  explicit PendingCall(Done<Response> d)
      : response(google::protobuf::Arena::CreateMessage<Response>(&arena)), done(std::move(d)) {}

  void End(const grpc::Status& status) {
    if (status.ok()) {
      done(absl::OkStatus(), *response);
    } else {
      done(rpc::FromGrpc(status), Response::default_instance());
    }
    delete this;
  }

  grpc::ClientContext context;
  google::protobuf::Arena arena;
  Response* const response;  // on the arena
  Done<Response> done;
};

template <class Response, class Start>
void CallThen(const rpc::CallOptions& options, Done<Response> done, Start start) {
  auto* call = new PendingCall<Response>(std::move(done));  // owned by its own callback
  rpc::Apply(options, &call->context);
  start(&call->context, call->response, [call](grpc::Status status) { call->End(status); });
}

}  // namespace

struct TaskQueueClient::Stub {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::TaskQueueService::Stub> rpc;
};

TaskQueueClient::TaskQueueClient(std::shared_ptr<grpc::Channel> channel, const clock::Clock& clock)
    : stub_(new Stub{channel, v1::TaskQueueService::NewStub(channel)}), clock_(clock) {}

TaskQueueClient::~TaskQueueClient() = default;

// --- coroutines

Async<absl::StatusOr<v1::Task>> TaskQueueClient::Submit(rpc::CallOptions call,
                                                        v1::SubmitTaskRequest request) {
  co_return co_await rpc::CallUnary<v1::Task>(call, [&](auto* context, auto* out, auto done) {
    stub_->rpc->async()->SubmitTask(context, &request, out, std::move(done));
  });
}

Async<absl::StatusOr<v1::BulkSubmitTasksResponse>> TaskQueueClient::BulkSubmit(
    rpc::CallOptions call, v1::BulkSubmitTasksRequest request) {
  co_return co_await rpc::CallUnary<v1::BulkSubmitTasksResponse>(
      call, [&](auto* context, auto* out, auto done) {
        stub_->rpc->async()->BulkSubmitTasks(context, &request, out, std::move(done));
      });
}

Async<absl::StatusOr<v1::Task>> TaskQueueClient::Get(rpc::CallOptions call, std::string task_id,
                                                     bool include_args) {
  v1::GetTaskRequest request;
  request.set_task_id(std::move(task_id));
  request.set_include_args(include_args);
  co_return co_await rpc::CallUnary<v1::Task>(call, [&](auto* context, auto* out, auto done) {
    stub_->rpc->async()->GetTask(context, &request, out, std::move(done));
  });
}

Async<absl::StatusOr<v1::BulkGetTasksResponse>> TaskQueueClient::BulkGet(
    rpc::CallOptions call, std::vector<std::string> task_ids) {
  v1::BulkGetTasksRequest request;
  for (std::string& id : task_ids) request.add_task_ids(std::move(id));
  co_return co_await rpc::CallUnary<v1::BulkGetTasksResponse>(
      call, [&](auto* context, auto* out, auto done) {
        stub_->rpc->async()->BulkGetTasks(context, &request, out, std::move(done));
      });
}

Async<absl::StatusOr<v1::ListTasksResponse>> TaskQueueClient::List(rpc::CallOptions call,
                                                                   v1::ListTasksRequest request) {
  co_return co_await rpc::CallUnary<v1::ListTasksResponse>(
      call, [&](auto* context, auto* out, auto done) {
        stub_->rpc->async()->ListTasks(context, &request, out, std::move(done));
      });
}

Async<absl::StatusOr<v1::Task>> TaskQueueClient::Cancel(rpc::CallOptions call, std::string task_id,
                                                        std::string reason) {
  v1::CancelTaskRequest request;
  request.set_task_id(std::move(task_id));
  request.set_reason(std::move(reason));
  co_return co_await rpc::CallUnary<v1::Task>(call, [&](auto* context, auto* out, auto done) {
    stub_->rpc->async()->CancelTask(context, &request, out, std::move(done));
  });
}

Async<absl::StatusOr<v1::Task>> TaskQueueClient::Restart(rpc::CallOptions call,
                                                         std::string task_id) {
  v1::RestartTaskRequest request;
  request.set_task_id(std::move(task_id));
  co_return co_await rpc::CallUnary<v1::Task>(call, [&](auto* context, auto* out, auto done) {
    stub_->rpc->async()->RestartTask(context, &request, out, std::move(done));
  });
}

// --- waiting

Async<absl::Status> TaskQueueClient::Watch(rpc::CallOptions call, std::string task_id,
                                           std::function<bool(const v1::Task&)> changed) {
  call.timeout = absl::InfiniteDuration();
  using Stream = rpc::BidiCall<v1::WatchTaskRequest, v1::Task>;
  const auto stream = Stream::Start(stub_->channel, kWatchMethod, call);
  v1::WatchTaskRequest request;
  request.set_task_id(std::move(task_id));
  stream->Send(std::move(request));
  stream->SendsDone();
  bool wanted = true;
  while (auto task = co_await stream->Read()) {
    if (!wanted || changed(*task)) continue;
    wanted = false;
    stream->Cancel();  // read on until the stream has ended
  }
  if (!wanted) co_return absl::CancelledError("the watch is no longer wanted");
  co_return stream->status();
}

Async<absl::StatusOr<v1::Task>> TaskQueueClient::WaitFor(rpc::CallOptions call, std::string task_id,
                                                         absl::Time deadline) {
  absl::Duration backoff = kMinWatchBackoff;
  absl::Status broken;  // why the last watch ended
  for (;;) {
    const absl::Duration left = deadline - clock_.Now();
    if (left <= absl::ZeroDuration()) {
      co_return status::Error(absl::StatusCode::kDeadlineExceeded, "DEADLINE_EXCEEDED",
                              "the task has not ended in time; it goes on, wait for it again");
    }
    std::optional<v1::Task> ended;
    call.timeout = left;
    using Stream = rpc::BidiCall<v1::WatchTaskRequest, v1::Task>;
    const auto stream = Stream::Start(stub_->channel, kWatchMethod, call);
    v1::WatchTaskRequest request;
    request.set_task_id(task_id);
    stream->Send(std::move(request));
    stream->SendsDone();
    while (auto task = co_await stream->Read()) {
      backoff = kMinWatchBackoff;
      if (HasEnded(*task)) ended = *std::move(task);
    }
    if (ended) co_return *std::move(ended);
    broken = stream->status();
    // Of another kind: NOT_FOUND and the like, which another try would only repeat.
    if (!broken.ok() && !absl::IsUnavailable(broken) && !absl::IsDeadlineExceeded(broken)) {
      co_return broken;
    }
    async::Event nothing;
    co_await nothing.Wait(nothing.version(), async::After(std::min(backoff, left)));
    backoff = std::min(backoff * 2, kMaxWatchBackoff);
  }
}

// --- callbacks

void TaskQueueClient::SubmitThen(const rpc::CallOptions& call, const v1::SubmitTaskRequest& request,
                                 Done<v1::Task> done) {
  CallThen<v1::Task>(call, std::move(done), [&](auto* context, auto* out, auto then) {
    stub_->rpc->async()->SubmitTask(context, &request, out, std::move(then));
  });
}

void TaskQueueClient::BulkSubmitThen(const rpc::CallOptions& call,
                                     const v1::BulkSubmitTasksRequest& request,
                                     Done<v1::BulkSubmitTasksResponse> done) {
  CallThen<v1::BulkSubmitTasksResponse>(
      call, std::move(done), [&](auto* context, auto* out, auto then) {
        stub_->rpc->async()->BulkSubmitTasks(context, &request, out, std::move(then));
      });
}

void TaskQueueClient::BulkGetThen(const rpc::CallOptions& call,
                                  const v1::BulkGetTasksRequest& request,
                                  Done<v1::BulkGetTasksResponse> done) {
  CallThen<v1::BulkGetTasksResponse>(
      call, std::move(done), [&](auto* context, auto* out, auto then) {
        stub_->rpc->async()->BulkGetTasks(context, &request, out, std::move(then));
      });
}

}  // namespace slipstream::task_queue_client
