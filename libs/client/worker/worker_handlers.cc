// The half of Worker that runs handlers.
#include <exception>
#include <utility>

#include "libs/client/worker/failure.h"
#include "libs/client/worker/worker.h"
#include "libs/status/status.h"

namespace slipstream::worker_client {

namespace {

using task_queue::v1::WorkRequest;

WorkRequest FailureRequest(const LeaseKey& key, const absl::Status& status) {
  WorkRequest request;
  *request.mutable_failure() = ToFailure(status);
  request.mutable_failure()->set_task_id(key.task_id);
  request.mutable_failure()->set_lease_epoch(key.epoch);
  return request;
}

WorkRequest OutcomeOf(const LeaseKey& key, const TaskContext& context,
                      absl::StatusOr<TaskResult> result) {
  if (!result.ok()) {
    const bool late = context.cancel_reason() == kDeadlineExceeded;
    return FailureRequest(
        key, late ? status::Error(absl::StatusCode::kDeadlineExceeded, kDeadlineExceeded.data(),
                                  "the attempt took longer than its deadline")
                  : result.status());
  }
  if (result->value.ByteSizeLong() > kMaxResultBytes ||
      result->artifacts.size() > static_cast<size_t>(kMaxArtifactsCount)) {
    return FailureRequest(
        key, status::Error(absl::StatusCode::kFailedPrecondition, "RESULT_TOO_LARGE",
                           "a result has at most 256 KiB and 32 artifacts; the handler should "
                           "upload what is larger as an artifact"));
  }
  WorkRequest request;
  WorkRequest::Success& success = *request.mutable_success();
  success.set_task_id(key.task_id);
  success.set_lease_epoch(key.epoch);
  *success.mutable_result() = std::move(result->value);
  for (auto& artifact : result->artifacts) *success.add_artifacts() = std::move(artifact);
  if (result->usage.ByteSizeLong() > 0) *success.mutable_usage() = std::move(result->usage);
  return request;
}

absl::StatusOr<TaskResult> CallInline(const InlineHandler& handler, const TaskArgs& args,
                                      TaskContext& context) {
  try {
    return handler(args, context);
  } catch (const std::exception& e) {
    return status::Error(absl::StatusCode::kInternal, "HANDLER_THREW", e.what());
  }
}

}  // namespace

Worker::Attempt::Attempt(Worker* worker, const task_queue::v1::WorkResponse::Assignment& assignment)
    : context(InfoOf(assignment), [this, worker](int percent, std::string_view message) {
        {
          sync::MutexLock lock(worker->mutex_);
          worker->session_.Progress(key(), percent, message);
        }
        worker->wake_.Notify();
      }) {}

Async<void> Worker::RunTask(std::shared_ptr<Attempt> attempt) {
  TaskContext& context = attempt->context;
  const LeaseKey key = attempt->key();
  absl::StatusOr<TaskResult> result = absl::UnknownError("");
  const auto handler = handlers_.find(context.info().task_type);
  if (handler == handlers_.end()) {
    result = status::Error(absl::StatusCode::kUnavailable, "UNKNOWN_TASK_TYPE",
                           "this worker does not run tasks of this type");
  } else {
    result = co_await CallHandler(handler->second->handler, *attempt->args, context);
  }
  WorkerSession::Outcome outcome = OutcomeOf(key, context, std::move(result));
  {
    sync::MutexLock lock(mutex_);
    running_.erase(key);
    session_.Finish(key, std::move(outcome));
  }
  wake_.Notify();
}

bool Worker::IsInline(const std::string& task_type) const {
  const auto handler = handlers_.find(task_type);
  return handler != handlers_.end() && handler->second->inline_handler != nullptr;
}

void Worker::RunInline(std::vector<std::shared_ptr<Attempt>>* attempts) {
  std::vector<std::pair<LeaseKey, WorkerSession::Outcome>> outcomes;
  outcomes.reserve(attempts->size());
  std::erase_if(*attempts, [&](const std::shared_ptr<Attempt>& attempt) {
    TaskContext& context = attempt->context;
    if (!IsInline(context.info().task_type)) return false;
    const InlineHandler& handler = handlers_.find(context.info().task_type)->second->inline_handler;
    LeaseKey key = attempt->key();
    WorkerSession::Outcome outcome =
        OutcomeOf(key, context, CallInline(handler, *attempt->args, context));
    outcomes.emplace_back(std::move(key), std::move(outcome));
    return true;
  });
  if (outcomes.empty()) return;
  {
    sync::MutexLock lock(mutex_);
    for (auto& [key, outcome] : outcomes) {
      session_.Finish(key, std::move(outcome));
    }
  }
  wake_.Notify();
}

// Handlers are other people's code: an exception of theirs fails the attempt, not the process.
Async<absl::StatusOr<TaskResult>> Worker::CallHandler(const TaskHandler& handler,
                                                      const TaskArgs& args, TaskContext& context) {
  try {
    co_return co_await handler(args, context);
  } catch (const std::exception& e) {
    co_return status::Error(absl::StatusCode::kInternal, "HANDLER_THREW", e.what());
  }
}

}  // namespace slipstream::worker_client
