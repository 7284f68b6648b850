#include "services/worker/worker_tasks.h"

#include <utility>

#include "libs/client/worker/failure.h"
#include "libs/status/status.h"
#include "services/worker/handlers/generate_pdf.h"
#include "services/worker/handlers/generate_rfc.h"
#include "services/worker/worker_metrics.h"

namespace slipstream::worker {

namespace {

using worker_client::TaskArgs;
using worker_client::TaskHandler;
using worker_client::TaskRegistration;
using worker_client::TaskResult;
using Result = absl::StatusOr<TaskResult>;

TaskContext ContextOf(worker_client::TaskContext& context) {
  return {.task_id = context.task_id(),
          .progress = [&context](int percent,
                                 std::string_view message) { context.Progress(percent, message); },
          .cancel = context.cancel_token()};
}

// Codes that are usually tried again, for causes that would only repeat themselves.
absl::Status Judged(absl::Status status) {
  for (const char* reason : {"PDF_TOO_LARGE", "PDF_MEMORY_LIMIT", "PDF_CPU_LIMIT"}) {
    if (status::Reason(status) == reason) return worker_client::Final(std::move(status));
  }
  return status;
}

Result ResultOf(absl::StatusOr<TaskOutput> output) {
  if (!output.ok()) return Judged(output.status());
  TaskResult result;
  result.value = std::move(output->result);
  result.artifacts = std::move(output->artifacts);
  return result;
}

TaskHandler GenerateRfc(const WorkerTaskDeps& deps) {
  return [deps](const TaskArgs& args, worker_client::TaskContext& context) -> Async<Result> {
    auto request = ParseGenerateRfcArgs(args);
    if (!request.ok()) co_return request.status();
    OwnerAccess& access = deps.access();
    const logging::Logger logger = deps.logger.With(
        {{"task_id", context.task_id()}, {logging::kCorrelationId, context.correlation_id()}});
    const GenerateRfcDeps rfc{.drafter = deps.drafter,
                              .cache_get = access.Get(context),
                              .cache_set = access.Set(context),
                              .upload = access.Upload(context),
                              .warn = [&logger](std::string_view text) { logger.Warning(text); }};
    co_return ResultOf(co_await RunGenerateRfc(*std::move(request), rfc, ContextOf(context)));
  };
}

TaskHandler GeneratePdf(const WorkerTaskDeps& deps) {
  return [deps](const TaskArgs& args, worker_client::TaskContext& context) -> Async<Result> {
    auto parsed = ParseGeneratePdfArgs(args);
    if (!parsed.ok()) co_return parsed.status();
    OwnerAccess& access = deps.access();
    const GeneratePdfDeps pdf{.renderer = deps.renderer,
                              .clock = deps.clock,
                              .upload = access.Upload(context),
                              .download = access.Download(context)};
    co_return ResultOf(co_await RunGeneratePdf(*std::move(parsed), pdf, ContextOf(context)));
  };
}

// Counts, times and logs each attempt. Arguments and results are never logged.
TaskHandler Observed(const std::string& type, TaskHandler handler, const WorkerTaskDeps& deps) {
  const auto attempts = deps.metrics->Add(kAttempts);
  return
      [handler = std::move(handler), logger = deps.logger, clock = deps.clock,
       seconds = deps.metrics->Add(kAttemptSeconds).With({type}), ok = attempts.With({type, "ok"}),
       failed = attempts.With({type, "failed"}), stopped = attempts.With({type, "stopped"})](
          const TaskArgs& args, worker_client::TaskContext& context) -> Async<Result> {
        const absl::Duration began = clock->Monotonic();
        Result result = co_await handler(args, context);
        const absl::Duration took = clock->Monotonic() - began;
        seconds.Observe(absl::ToDoubleSeconds(took));
        (result.ok() ? ok : context.cancelled() ? stopped : failed).Increment();
        logger.Info("attempt ended", {{"task_id", context.task_id()},
                                      {"task_type", context.info().task_type},
                                      {"attempt", context.attempt()},
                                      {"duration_ms", absl::ToInt64Milliseconds(took)},
                                      {"status", result.status()},
                                      {"stopped", context.cancel_reason()},
                                      {logging::kCorrelationId, context.correlation_id()}});
        co_return result;
      };
}

}  // namespace

std::vector<TaskRegistration> WorkerTasks(const WorkerTaskDeps& deps) {
  std::vector<TaskRegistration> tasks = {
      {GenerateRfcType(), GenerateRfc(deps)},
      {GeneratePdfType(), GeneratePdf(deps)},
  };
  for (TaskRegistration& task : tasks) {
    task.handler = Observed(task.type.name(), std::move(task.handler), deps);
  }
  return tasks;
}

}  // namespace slipstream::worker
