#include "services/task_queue/task_queue_service.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/async/deadline.h"
#include "libs/status/status.h"
#include "services/task_queue/rpc_caller.h"
#include "services/task_queue/task_proto.h"

namespace slipstream::task_queue {

namespace {

constexpr int kDefaultPageSize = 20;
constexpr int kMaxPageSize = 100;
// A watch looks again after this time at the latest: with a store that other servers share, a
// change may come without a signal here.
constexpr absl::Duration kWatchPoll = absl::Seconds(1);
constexpr absl::Duration kSharedWatchPoll = absl::Milliseconds(250);

// All that decides what a listing holds.
std::string FilterOf(const Caller& caller, const v1::ListTasksRequest& request) {
  return absl::StrCat("ListTasks\n", caller.user, "\n", caller.tenant, "\n", request.owner(), "\n",
                      request.task_type(), "\n", absl::StrJoin(request.status(), ","));
}

}  // namespace

Caller TaskQueueService::CallerOf(const rpc::CallContext& call) const {
  return task_queue::CallerOf(call, deps_.permissions);
}

void TaskQueueService::Stop() {
  stopping_.store(true, std::memory_order_release);
  deps_.signals.NotifyAll();
}

// --- submit

Async<absl::Status> TaskQueueService::Submit(rpc::CallContext& call,
                                             const v1::SubmitTaskRequest& request,
                                             v1::Task* response) {
  const Caller caller = CallerOf(call);
  const SubmitSpec spec = FromProto(request);
  auto task = co_await deps_.engine.Submit(caller, spec);
  if (!task.ok()) co_return task.status();
  ToProto(*task, response);
  co_return absl::OkStatus();
}

grpc::ServerUnaryReactor* TaskQueueService::SubmitTask(grpc::CallbackServerContext* context,
                                                       const v1::SubmitTaskRequest* request,
                                                       v1::Task* response) {
  return rpc_.Unary("SubmitTask", context, request, response,
                    [this](rpc::CallContext& call, const v1::SubmitTaskRequest& q, v1::Task* p) {
                      return Submit(call, q, p);
                    });
}

Async<absl::Status> TaskQueueService::BulkSubmit(rpc::CallContext& call,
                                                 const v1::BulkSubmitTasksRequest& request,
                                                 v1::BulkSubmitTasksResponse* response) {
  if (request.tasks_size() > static_cast<int>(kMaxBulkCount)) {
    co_return status::FieldError("tasks", "must be 1-100");
  }
  const Caller caller = CallerOf(call);
  std::vector<SubmitSpec> specs;
  specs.reserve(static_cast<size_t>(request.tasks_size()));
  for (const auto& task : request.tasks()) specs.push_back(FromProto(task));
  auto results = co_await deps_.engine.SubmitMany(caller, specs, request.all_or_nothing());
  if (!results.ok()) co_return results.status();
  int accepted = 0;
  for (const auto& result : *results) {
    auto* added = response->add_results();
    if (result.ok()) {
      ToProto(*result, added->mutable_task());
      ++accepted;
    } else {
      *added->mutable_error() = ToTaskError(result.status());
    }
  }
  response->set_accepted_count(accepted);
  co_return absl::OkStatus();
}

grpc::ServerUnaryReactor* TaskQueueService::BulkSubmitTasks(
    grpc::CallbackServerContext* context, const v1::BulkSubmitTasksRequest* request,
    v1::BulkSubmitTasksResponse* response) {
  return rpc_.Unary("BulkSubmitTasks", context, request, response,
                    [this](rpc::CallContext& call, const v1::BulkSubmitTasksRequest& q,
                           v1::BulkSubmitTasksResponse* p) { return BulkSubmit(call, q, p); });
}

// --- reads

absl::Status TaskQueueService::SetRedactedArgs(const TaskRecord& task, v1::Task* out) const {
  auto known = deps_.registry.Find(task.task_type);
  // Without the schema nobody knows what is sensitive, so nothing is shown.
  if (!known.ok()) return known.status();
  if (task.args != nullptr) out->mutable_args()->ParseFromString(*task.args);
  (*known)->schema.Redact(*out->mutable_args());
  return absl::OkStatus();
}

Async<absl::Status> TaskQueueService::Get(rpc::CallContext& call, const v1::GetTaskRequest& request,
                                          v1::Task* response) {
  const Caller caller = CallerOf(call);
  auto task = co_await deps_.engine.Get(caller, request.task_id());
  if (!task.ok()) co_return task.status();
  ToProto(*task, response);
  if (request.include_args()) co_return SetRedactedArgs(*task, response);
  co_return absl::OkStatus();
}

grpc::ServerUnaryReactor* TaskQueueService::GetTask(grpc::CallbackServerContext* context,
                                                    const v1::GetTaskRequest* request,
                                                    v1::Task* response) {
  return rpc_.Unary("GetTask", context, request, response,
                    [this](rpc::CallContext& call, const v1::GetTaskRequest& q, v1::Task* p) {
                      return Get(call, q, p);
                    });
}

Async<absl::Status> TaskQueueService::BulkGet(rpc::CallContext& call,
                                              const v1::BulkGetTasksRequest& request,
                                              v1::BulkGetTasksResponse* response) {
  const Caller caller = CallerOf(call);
  std::vector<std::string> task_ids(request.task_ids().begin(), request.task_ids().end());
  auto found = co_await deps_.engine.GetMany(caller, std::move(task_ids));
  if (!found.ok()) co_return found.status();
  for (const auto& task : found->tasks) ToProto(task, response->add_tasks());
  for (auto& id : found->missing_task_ids) response->add_missing_task_ids(std::move(id));
  co_return absl::OkStatus();
}

grpc::ServerUnaryReactor* TaskQueueService::BulkGetTasks(grpc::CallbackServerContext* context,
                                                         const v1::BulkGetTasksRequest* request,
                                                         v1::BulkGetTasksResponse* response) {
  return rpc_.Unary("BulkGetTasks", context, request, response,
                    [this](rpc::CallContext& call, const v1::BulkGetTasksRequest& q,
                           v1::BulkGetTasksResponse* p) { return BulkGet(call, q, p); });
}

Async<absl::Status> TaskQueueService::List(rpc::CallContext& call,
                                           const v1::ListTasksRequest& request,
                                           v1::ListTasksResponse* response) {
  if (request.page_size() < 0) co_return status::FieldError("page_size", "must be 0-100");
  const Caller caller = CallerOf(call);
  ListQuery query;
  query.owner = request.owner();
  query.task_type = request.task_type();
  for (const int status : request.status()) {
    if (status < 1 || status >= kTaskStatusCount) {
      co_return status::FieldError("status", "must be one of the seven statuses of a task");
    }
    query.statuses.push_back(static_cast<TaskStatus>(status));
  }
  query.limit =
      request.page_size() == 0 ? kDefaultPageSize : std::min(request.page_size(), kMaxPageSize);
  const std::string filter = FilterOf(caller, request);
  auto after = deps_.page_tokens.Decode(request.page_token(), filter);
  if (!after.ok()) co_return after.status();
  query.after = *std::move(after);
  auto page = co_await deps_.engine.List(caller, std::move(query));
  if (!page.ok()) co_return page.status();
  for (const auto& task : page->tasks) ToProto(task, response->add_tasks());
  auto next = deps_.page_tokens.Encode(page->next, filter);
  if (!next.ok()) co_return next.status();
  response->set_next_page_token(*std::move(next));
  co_return absl::OkStatus();
}

grpc::ServerUnaryReactor* TaskQueueService::ListTasks(grpc::CallbackServerContext* context,
                                                      const v1::ListTasksRequest* request,
                                                      v1::ListTasksResponse* response) {
  return rpc_.Unary("ListTasks", context, request, response,
                    [this](rpc::CallContext& call, const v1::ListTasksRequest& q,
                           v1::ListTasksResponse* p) { return List(call, q, p); });
}

Async<absl::Status> TaskQueueService::Watch(rpc::CallContext& call,
                                            const v1::WatchTaskRequest& request,
                                            rpc::Sender<v1::Task>& out) {
  const Caller caller = CallerOf(call);
  async::Event& changes = deps_.signals.Changes(request.task_id());
  call.OnCancel([&changes] { changes.Notify(); });
  int64_t sent_version = -1;
  for (;;) {
    const uint64_t seen = changes.version();
    auto task = co_await deps_.engine.Get(caller, request.task_id());
    if (!task.ok()) co_return task.status();
    if (task->version != sent_version) {
      sent_version = task->version;
      v1::Task message;
      ToProto(*task, &message);
      if (!co_await out.Write(std::move(message))) co_return absl::CancelledError("gone");
    }
    if (task_state::IsFinal(task->status)) co_return absl::OkStatus();
    if (call.cancelled()) co_return absl::CancelledError("the watcher went away");
    if (stopping_.load(std::memory_order_acquire)) {
      co_return status::WithRetryAfter(
          status::Error(absl::StatusCode::kUnavailable, "DRAINING",
                        "this queue server is going away; watch again after the delay given"),
          absl::Seconds(1));
    }
    co_await changes.Wait(seen, async::After(deps_.durable ? kSharedWatchPoll : kWatchPoll));
  }
}

grpc::ServerWriteReactor<v1::Task>* TaskQueueService::WatchTask(
    grpc::CallbackServerContext* context, const v1::WatchTaskRequest* request) {
  return rpc_.ServerStream<v1::Task>(
      "WatchTask", context, request,
      [this](rpc::CallContext& call, const v1::WatchTaskRequest& q, rpc::Sender<v1::Task>& out) {
        return Watch(call, q, out);
      });
}

// --- changes

grpc::ServerUnaryReactor* TaskQueueService::CancelTask(grpc::CallbackServerContext* context,
                                                       const v1::CancelTaskRequest* request,
                                                       v1::Task* response) {
  return rpc_.Unary("CancelTask", context, request, response,
                    [this](rpc::CallContext& call, const v1::CancelTaskRequest& q,
                           v1::Task* p) -> Async<absl::Status> {
                      const Caller caller = CallerOf(call);
                      auto task = co_await deps_.engine.Cancel(caller, q.task_id(), q.reason());
                      if (task.ok()) ToProto(*task, p);
                      co_return task.status();
                    });
}

grpc::ServerUnaryReactor* TaskQueueService::RestartTask(grpc::CallbackServerContext* context,
                                                        const v1::RestartTaskRequest* request,
                                                        v1::Task* response) {
  return rpc_.Unary("RestartTask", context, request, response,
                    [this](rpc::CallContext& call, const v1::RestartTaskRequest& q,
                           v1::Task* p) -> Async<absl::Status> {
                      const Caller caller = CallerOf(call);
                      auto task = co_await deps_.engine.Restart(caller, q.task_id());
                      if (task.ok()) ToProto(*task, p);
                      co_return task.status();
                    });
}

// --- administration

grpc::ServerUnaryReactor* TaskQueueService::PurgeQueue(grpc::CallbackServerContext* context,
                                                       const v1::PurgeQueueRequest* request,
                                                       v1::PurgeQueueResponse* response) {
  return rpc_.Unary("PurgeQueue", context, request, response,
                    [this](rpc::CallContext& call, const v1::PurgeQueueRequest& q,
                           v1::PurgeQueueResponse* p) -> Async<absl::Status> {
                      PurgeQuery query;
                      query.task_type = q.task_type();
                      for (const int status : q.status()) {
                        query.statuses.push_back(static_cast<TaskStatus>(status));
                      }
                      if (!q.tenant().empty()) query.tenant = q.tenant();
                      query.dry_run = q.dry_run();
                      auto result = co_await deps_.engine.Purge(std::move(query));
                      if (!result.ok()) co_return result.status();
                      p->set_purged_count(result->purged_count);
                      p->set_more(result->more);
                      call.set_audit(q.task_type(), "",
                                     absl::StrCat(q.dry_run() ? "would purge " : "purged ",
                                                  result->purged_count));
                      co_return absl::OkStatus();
                    });
}

grpc::ServerUnaryReactor* TaskQueueService::PauseQueue(grpc::CallbackServerContext* context,
                                                       const v1::PauseQueueRequest* request,
                                                       v1::PauseQueueResponse* response) {
  return rpc_.Unary("PauseQueue", context, request, response,
                    [this](rpc::CallContext& call, const v1::PauseQueueRequest& q,
                           v1::PauseQueueResponse* p) -> Async<absl::Status> {
                      auto paused = co_await deps_.engine.SetPaused(q.task_type(), true);
                      if (!paused.ok()) co_return paused.status();
                      for (auto& type : *paused) p->add_paused_task_types(std::move(type));
                      call.set_audit(q.task_type(), "", absl::StrCat("paused: ", q.reason()));
                      co_return absl::OkStatus();
                    });
}

grpc::ServerUnaryReactor* TaskQueueService::ResumeQueue(grpc::CallbackServerContext* context,
                                                        const v1::ResumeQueueRequest* request,
                                                        v1::ResumeQueueResponse* response) {
  return rpc_.Unary("ResumeQueue", context, request, response,
                    [this](rpc::CallContext& call, const v1::ResumeQueueRequest& q,
                           v1::ResumeQueueResponse* p) -> Async<absl::Status> {
                      auto paused = co_await deps_.engine.SetPaused(q.task_type(), false);
                      if (!paused.ok()) co_return paused.status();
                      for (auto& type : *paused) p->add_paused_task_types(std::move(type));
                      call.set_audit(q.task_type(), "", "resumed");
                      co_return absl::OkStatus();
                    });
}

grpc::ServerUnaryReactor* TaskQueueService::GetQueueStats(grpc::CallbackServerContext* context,
                                                          const v1::GetQueueStatsRequest* request,
                                                          v1::QueueStats* response) {
  return rpc_.Unary("GetQueueStats", context, request, response,
                    [this](rpc::CallContext& call, const v1::GetQueueStatsRequest& q,
                           v1::QueueStats* p) -> Async<absl::Status> {
                      const bool admin = CallerOf(call).admin;
                      auto report = co_await deps_.engine.Report();
                      if (report.ok()) {
                        ToProto(*report, deps_.clock.Now(), q.task_type(), admin, p);
                      }
                      co_return report.status();
                    });
}

grpc::ServerUnaryReactor* TaskQueueService::CleanupTasks(grpc::CallbackServerContext* context,
                                                         const v1::CleanupTasksRequest* request,
                                                         v1::CleanupTasksResponse* response) {
  return rpc_.Unary("CleanupTasks", context, request, response,
                    [this](rpc::CallContext& call, const v1::CleanupTasksRequest& q,
                           v1::CleanupTasksResponse* p) -> Async<absl::Status> {
                      std::optional<absl::Duration> older_than;
                      if (q.has_older_than_ms()) {
                        older_than = absl::Milliseconds(q.older_than_ms());
                      }
                      auto result = co_await deps_.engine.Cleanup(older_than, q.dry_run());
                      if (!result.ok()) co_return result.status();
                      p->set_removed_count(result->removed_count);
                      p->set_more(result->more);
                      call.set_audit("ended tasks", "",
                                     absl::StrCat(q.dry_run() ? "would remove " : "removed ",
                                                  result->removed_count));
                      co_return absl::OkStatus();
                    });
}

void TaskQueueService::ListTypes(v1::ListTaskTypesResponse* response,
                                 const std::vector<std::string>& paused) {
  const auto is_paused = [&](const std::string& name) {
    return std::find(paused.begin(), paused.end(), name) != paused.end();
  };
  for (const auto& known : deps_.registry.All()) {
    v1::TaskType* type = response->add_task_types();
    *type = known->type;
    type->set_worker_count(deps_.sessions.WorkerCount(type->name()));
    type->set_paused(is_paused("*") || is_paused(type->name()));
  }
}

grpc::ServerUnaryReactor* TaskQueueService::ListTaskTypes(grpc::CallbackServerContext* context,
                                                          const v1::ListTaskTypesRequest* request,
                                                          v1::ListTaskTypesResponse* response) {
  return rpc_.Unary("ListTaskTypes", context, request, response,
                    [this](rpc::CallContext&, const v1::ListTaskTypesRequest&,
                           v1::ListTaskTypesResponse* p) -> Async<absl::Status> {
                      auto report = co_await deps_.engine.Report();
                      if (!report.ok()) co_return report.status();
                      ListTypes(p, report->store.paused_task_types);
                      co_return absl::OkStatus();
                    });
}

}  // namespace slipstream::task_queue
