// A C++ client of the task queue.
//
//   TaskQueueClient queue(channel, clock);
//   auto task = co_await queue.Submit(call, request);
//   auto done = co_await queue.WaitFor(call, task->task_id(), clock.Now() + absl::Minutes(5));
//
// Two forms of the calls that a user makes often: coroutines, and callbacks (the names that end in
// `Then`) for those who make tens of thousands a second. The callback form keeps the answer and its
// parts on one arena and needs neither a coroutine nor an executor.
//
// Thread safety: all methods, from any thread or coroutine; the client outlives its calls. A
// callback runs on a gRPC thread and must not block. Errors: those of the RPCs (see
// task_queue.proto), and UNAVAILABLE and DEADLINE_EXCEEDED of the call. Nothing is sent again by
// itself except by WaitFor; a Submit that is sent again by its user carries a request_id, or it may
// count twice.
#ifndef LIBS_CLIENT_TASK_QUEUE_TASK_QUEUE_CLIENT_H_
#define LIBS_CLIENT_TASK_QUEUE_TASK_QUEUE_CLIENT_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/async/async.h"
#include "libs/clock/clock.h"
#include "libs/rpc/call_options.h"
#include "slipstream/task_queue/v1/task_queue.pb.h"

namespace grpc {
class Channel;
}

namespace slipstream::task_queue_client {

// The most tasks of one BulkSubmit or BulkGet.
inline constexpr int kMaxBulkCount = 100;

// The answer is valid during the callback only; empty unless the status is OK.
template <class Response>
using Done = absl::AnyInvocable<void(const absl::Status&, const Response&)>;

class TaskQueueClient {
 public:
  // `clock` is what WaitFor's deadlines are compared with; it outlives the client.
  TaskQueueClient(std::shared_ptr<grpc::Channel> channel, const clock::Clock& clock);
  ~TaskQueueClient();

  Async<absl::StatusOr<task_queue::v1::Task>> Submit(rpc::CallOptions call,
                                                     task_queue::v1::SubmitTaskRequest request);
  // A task that is refused has an error in its place; the call is OK all the same.
  Async<absl::StatusOr<task_queue::v1::BulkSubmitTasksResponse>> BulkSubmit(
      rpc::CallOptions call, task_queue::v1::BulkSubmitTasksRequest request);

  Async<absl::StatusOr<task_queue::v1::Task>> Get(rpc::CallOptions call, std::string task_id,
                                                  bool include_args = false);
  // At most kMaxBulkCount ids. Those that the caller may not see are named as missing.
  Async<absl::StatusOr<task_queue::v1::BulkGetTasksResponse>> BulkGet(
      rpc::CallOptions call, std::vector<std::string> task_ids);
  // One page; the next with the token that it ends with.
  Async<absl::StatusOr<task_queue::v1::ListTasksResponse>> List(
      rpc::CallOptions call, task_queue::v1::ListTasksRequest request);

  // FAILED_PRECONDITION when the task has ended otherwise.
  Async<absl::StatusOr<task_queue::v1::Task>> Cancel(rpc::CallOptions call, std::string task_id,
                                                     std::string reason = "");
  Async<absl::StatusOr<task_queue::v1::Task>> Restart(rpc::CallOptions call, std::string task_id);

  // Calls `changed` with the task as it is now and after each change, until the task has ended
  // (OK), `changed` answers false (CANCELLED) or the stream breaks. The timeout does not apply.
  Async<absl::Status> Watch(rpc::CallOptions call, std::string task_id,
                            std::function<bool(const task_queue::v1::Task&)> changed);

  // The task once it has ended, however it did. Watches again when a server goes away.
  // DEADLINE_EXCEEDED when it has not ended by then.
  Async<absl::StatusOr<task_queue::v1::Task>> WaitFor(rpc::CallOptions call, std::string task_id,
                                                      absl::Time deadline);

  // The callback form.
  void SubmitThen(const rpc::CallOptions& call, const task_queue::v1::SubmitTaskRequest& request,
                  Done<task_queue::v1::Task> done);
  void BulkSubmitThen(const rpc::CallOptions& call,
                      const task_queue::v1::BulkSubmitTasksRequest& request,
                      Done<task_queue::v1::BulkSubmitTasksResponse> done);
  void BulkGetThen(const rpc::CallOptions& call, const task_queue::v1::BulkGetTasksRequest& request,
                   Done<task_queue::v1::BulkGetTasksResponse> done);

 private:
  struct Stub;
  const std::unique_ptr<Stub> stub_;
  const clock::Clock& clock_;
};

}  // namespace slipstream::task_queue_client

#endif  // LIBS_CLIENT_TASK_QUEUE_TASK_QUEUE_CLIENT_H_
