#include "services/task_queue/worker_service.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/async/deadline.h"
#include "libs/async/start.h"
#include "libs/status/status.h"
#include "services/task_queue/task_proto.h"
#include "services/task_queue/worker_stream.h"

namespace slipstream::task_queue {

namespace {

constexpr size_t kMaxProgressMessageBytes = 512;
constexpr size_t kMaxFailureMessageBytes = 2048;
constexpr size_t kMaxReasonBytes = 63;
constexpr int kMaxArtifactsCount = 32;
constexpr int kMaxBatchCount = 256;
// Of one stream: Redis commits one while the next is decoded and one is on its way.
constexpr int kMaxStoringMessagesCount = 2;
// Of one stream, of reports that wait aside for a store that is away.
constexpr int kMaxAsideMessagesCount = 1'000;
constexpr size_t kMaxAsideBytes = 16 << 20;
constexpr size_t kReportBytes = 512;  // about, without result
constexpr int64_t kMaxRetryAfterMs = 86'400'000;
// Well within TaskQueueEngine's recovery time, so that what workers hold is handed in before the
// first sweep of a store that is back takes it from them.
constexpr task_state::RetryPolicy kStoreAwayRetry = {absl::Milliseconds(50),
                                                     absl::Milliseconds(500)};

bool IsReason(const std::string& reason) {
  return !reason.empty() && reason.size() <= kMaxReasonBytes &&
         std::all_of(reason.begin(), reason.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
         });
}

task_state::Success FromProto(const v1::WorkRequest::Success& success) {
  task_state::Success out;
  out.result = MakeBytes(SerializeDeterministically(success.result()));
  for (const auto& artifact : success.artifacts()) {
    out.artifacts.push_back(
        {artifact.artifact_id(), artifact.name(), artifact.content_type(), artifact.size_bytes()});
  }
  if (success.has_usage()) out.usage = task_queue::FromProto(success.usage());
  return out;
}

task_state::Failure FromProto(const v1::WorkRequest::Failure& failure) {
  task_state::Failure out;
  // A worker that names no proper reason has failed all the same; losing the report would be worse.
  out.failure.reason = IsReason(failure.reason()) ? failure.reason() : "UNSPECIFIED_FAILURE";
  out.failure.message = status::BoundedText(failure.message(), kMaxFailureMessageBytes);
  out.failure.retryable = failure.retryable();
  out.retry_after =
      absl::Milliseconds(std::clamp<int64_t>(failure.retry_after_ms(), 0, kMaxRetryAfterMs));
  if (failure.has_usage()) out.usage = task_queue::FromProto(failure.usage());
  return out;
}

// The report inside a message, or nullopt for other kinds of message.
std::optional<WorkerReport> ReportOf(const v1::WorkRequest& request) {
  switch (request.message_case()) {
    case v1::WorkRequest::kProgress: {
      const auto& progress = request.progress();
      return WorkerReport{
          progress.task_id(), progress.lease_epoch(),
          ReportedProgress{progress.percent(),
                           status::BoundedText(progress.message(), kMaxProgressMessageBytes)}};
    }
    case v1::WorkRequest::kSuccess:
      return WorkerReport{request.success().task_id(), request.success().lease_epoch(),
                          FromProto(request.success())};
    case v1::WorkRequest::kFailure:
      return WorkerReport{request.failure().task_id(), request.failure().lease_epoch(),
                          FromProto(request.failure())};
    case v1::WorkRequest::kRelease:
      return WorkerReport{request.release().task_id(), request.release().lease_epoch(),
                          ReportedRelease{}};
    default:
      return std::nullopt;
  }
}

size_t BytesOf(const WorkerReport& report) {
  const auto* success = std::get_if<task_state::Success>(&report.what);
  return kReportBytes + (success == nullptr ? 0 : static_cast<size_t>(SizeOf(success->result)));
}

absl::Status CheckReport(const v1::WorkRequest& request, int64_t max_result_bytes) {
  if (!request.has_success()) return absl::OkStatus();
  const int64_t size = static_cast<int64_t>(request.success().result().ByteSizeLong());
  if (size > max_result_bytes) {
    return status::FieldError("success.result",
                              absl::StrCat("has ", size, " bytes; at most ", max_result_bytes,
                                           " are allowed, upload larger results as artifacts"));
  }
  if (request.success().artifacts_size() > kMaxArtifactsCount) {
    return status::FieldError("success.artifacts", "may be at most 32");
  }
  return absl::OkStatus();
}

void SetAck(const std::string& task_id, int64_t epoch, const absl::Status& status,
            v1::WorkResponse* response) {
  auto* ack = response->mutable_ack();
  ack->set_task_id(task_id);
  ack->set_lease_epoch(epoch);
  ack->set_accepted(status.ok());
  if (status.ok()) return;
  const bool forgotten = status::Reason(status) == kTaskNotFound;
  *ack->mutable_error() = status::ToRpcStatus(
      forgotten ? status::Error(absl::StatusCode::kFailedPrecondition, task_state::kStaleLease,
                                std::string(status.message()))
                : status);
}

}  // namespace

bool WorkerStream::Send(size_t count,
                        absl::FunctionRef<void(size_t i, v1::WorkResponse* out)> fill) {
  bool sent = true;
  if (!accepts_batches_ || count == 1) {
    for (size_t i = 0; i < count; ++i) {
      auto message = rpc::MakeArenaMessage<v1::WorkResponse>();
      fill(i, message.get());
      sent = SendOne(std::move(message)) && sent;
    }
    return sent;
  }
  for (size_t i = 0; i < count;) {
    auto batch = rpc::MakeArenaMessage<v1::WorkResponse>();
    auto* responses = batch->mutable_batch()->mutable_responses();
    for (size_t bytes = 0; i < count && bytes < kMaxBatchBytes &&
                           responses->size() < static_cast<int>(kMaxBatchCount);
         ++i) {
      v1::WorkResponse* one = responses->Add();
      fill(i, one);
      bytes += one->ByteSizeLong();
    }
    sent = SendOne(std::move(batch)) && sent;
  }
  return sent;
}

grpc::ServerBidiReactor<v1::WorkRequest, v1::WorkResponse>* WorkerService::Work(
    grpc::CallbackServerContext* context) {
  return rpc_.BidiStream<v1::WorkRequest, v1::WorkResponse>(
      "Work", context, [this, context](rpc::CallContext& call, Requests& in, Responses& out) {
        return Serve(call, context, in, out);
      });
}

Async<absl::Status> WorkerService::Serve(rpc::CallContext& call,
                                         grpc::CallbackServerContext* context, Requests& in,
                                         Responses& out) {
  auto first = co_await in.Read();
  if (!first) co_return absl::CancelledError("the worker went away before its hello");
  if (!first->has_hello()) {
    co_return status::FieldError("hello", "must be the first message of the stream");
  }
  auto stream =
      std::make_shared<WorkerStream>(out, first->hello(), [context] { context->TryCancel(); });
  auto welcome = co_await deps_.sessions.Connect(
      task_queue::FromProto(first->hello(), call.principal().user), stream);
  if (!welcome.ok()) {
    stream->Detach();
    co_return welcome.status();
  }
  v1::WorkResponse response;
  auto* message = response.mutable_welcome();
  message->set_session_id(welcome->session_id);
  message->set_resumed(welcome->resumed);
  message->set_acks_heartbeats(true);
  message->set_lease_ms(static_cast<int>(absl::ToInt64Milliseconds(deps_.times.lease)));
  message->set_heartbeat_interval_ms(
      static_cast<int>(absl::ToInt64Milliseconds(deps_.times.heartbeat_interval)));
  for (auto& id : welcome->lost_task_ids) message->add_lost_task_ids(std::move(id));
  stream->Open(std::move(response));
  deps_.signals.work().Notify();

  Conversation with{call, welcome->session_id, *stream, std::make_shared<async::Event>(),
                    std::make_shared<Storing>()};
  call.OnCancel([gone = with.ended] { gone->Notify(); });
  absl::Status ended;
  while (auto request = co_await in.Read()) {
    ended = co_await Handle(with, *request);
    if (!ended.ok()) break;
  }
  ended.Update(co_await WaitStored(with, 0, Aside::kCounted));
  stream->Detach();
  co_await deps_.sessions.Disconnect(welcome->session_id, stream.get());
  co_return ended;
}

Async<absl::Status> WorkerService::Handle(Conversation& with, const v1::WorkRequest& request) {
  std::vector<const v1::WorkRequest*> messages = {&request};
  if (request.has_batch()) {
    messages.clear();
    if (request.batch().requests_size() > kMaxBatchCount) {
      co_return status::FieldError("batch.requests", "may be at most 256");
    }
    for (const auto& one : request.batch().requests()) messages.push_back(&one);
  }
  // Before anything that waits for the store: the answer is this server's own.
  if (std::any_of(messages.begin(), messages.end(),
                  [](const v1::WorkRequest* message) { return message->has_heartbeat(); })) {
    with.stream.AckHeartbeat();
  }
  std::vector<WorkerReport> reports;
  reports.reserve(messages.size());
  for (const v1::WorkRequest* message : messages) {
    if (absl::Status checked = CheckReport(*message, deps_.max_result_bytes); !checked.ok()) {
      with.stream.Send(1, [&](size_t, v1::WorkResponse* out) {
        SetAck(message->success().task_id(), message->success().lease_epoch(), checked, out);
      });
      continue;
    }
    if (auto report = ReportOf(*message)) {
      reports.push_back(*std::move(report));
      continue;
    }
    // What came before counts before.
    absl::Status reported = co_await WaitStored(with, 0, Aside::kLeftOut);
    if (reported.ok() && !reports.empty()) {
      StoreMeanwhile(with, std::exchange(reports, {}));
      reported = co_await WaitStored(with, 0, Aside::kLeftOut);
    }
    if (!reported.ok()) co_return reported;
    absl::Status handled = co_await HandleOther(with, *message);
    if (!handled.ok()) co_return handled;
  }
  const bool outcomes = std::all_of(reports.begin(), reports.end(), [](const WorkerReport& report) {
    return std::holds_alternative<task_state::Success>(report.what) ||
           std::holds_alternative<task_state::Failure>(report.what);
  });
  absl::Status stored =
      co_await WaitStored(with, outcomes ? kMaxStoringMessagesCount - 1 : 0, Aside::kLeftOut);
  if (!stored.ok()) co_return stored;
  StoreMeanwhile(with, std::move(reports));
  if (!outcomes) co_return co_await WaitStored(with, 0, Aside::kLeftOut);
  co_return absl::OkStatus();
}

Async<absl::Status> WorkerService::WaitStored(Conversation& with, int messages_count, Aside aside) {
  for (;;) {
    const uint64_t seen = with.storing->changed.version();
    {
      sync::MutexLock lock(with.storing->mu);
      const int counted =
          with.storing->messages_count + (aside == Aside::kCounted ? with.storing->aside_count : 0);
      if (counted <= messages_count) co_return with.storing->ended;
    }
    co_await with.storing->changed.Wait(seen);
  }
}

void WorkerService::StoreMeanwhile(Conversation& with, std::vector<WorkerReport> reports) {
  if (reports.empty()) return;
  {
    sync::MutexLock lock(with.storing->mu);
    ++with.storing->messages_count;
  }
  // The stream waits for it before it ends; the last touch of `with` is before the count is less.
  async::Start(
      deps_.dispatcher.executor,
      [this, &with, storing = with.storing, reports = std::move(reports)]() mutable -> Async<void> {
        StoredMessage message;
        absl::Status ended = co_await HandleReports(with, std::move(reports), message);
        {
          sync::MutexLock lock(storing->mu);
          --(message.aside ? storing->aside_count : storing->messages_count);
          storing->aside_bytes -= message.bytes;
          storing->ended.Update(std::move(ended));
        }
        storing->changed.Notify();
      });
}

void WorkerService::PutAside(Storing& storing, StoredMessage& message) {
  {
    sync::MutexLock lock(storing.mu);
    if (storing.aside_count >= kMaxAsideMessagesCount ||
        storing.aside_bytes + message.bytes > kMaxAsideBytes) {
      message.bytes = 0;
      return;  // it is waited for, so nothing more is read
    }
    message.aside = true;
    ++storing.aside_count;
    --storing.messages_count;
    storing.aside_bytes += message.bytes;
  }
  storing.changed.Notify();
}

Async<absl::Status> WorkerService::HandleOther(Conversation& with, const v1::WorkRequest& message) {
  if (message.has_heartbeat()) co_return co_await deps_.sessions.Heartbeat(with.session_id);
  if (!message.has_slots()) {
    co_return status::FieldError(
        "message", "hello comes once, batches are not nested, and every message says something");
  }
  deps_.sessions.SetFreeSlots(with.session_id, message.slots().free_slots());
  co_return absl::OkStatus();
}

Async<absl::Status> WorkerService::HandleReports(Conversation& with,
                                                 std::vector<WorkerReport> reports,
                                                 StoredMessage& message) {
  for (int failures_count = 0;;) {
    const uint64_t seen = with.ended->version();
    const auto results = co_await deps_.sessions.Report(with.session_id, reports);
    std::vector<size_t> told;  // progress that was taken needs no answer
    std::vector<size_t> away;
    for (size_t i = 0; i < results.size(); ++i) {
      const bool progress = std::holds_alternative<ReportedProgress>(reports[i].what);
      const bool is_away = absl::IsUnavailable(results[i]);
      if (is_away && !progress) away.push_back(i);
      if (!is_away && (!progress || !results[i].ok())) told.push_back(i);
    }
    with.stream.Send(told.size(), [&](size_t i, v1::WorkResponse* out) {
      SetAck(reports[told[i]].task_id, reports[told[i]].epoch, results[told[i]], out);
    });
    if (away.empty()) break;
    failures_count = away.size() < reports.size() ? 1 : failures_count + 1;
    if (away.size() < reports.size()) {
      std::vector<WorkerReport> left;
      for (const size_t i : away) left.push_back(std::move(reports[i]));
      reports = std::move(left);
    }
    if (with.call.cancelled()) co_return absl::CancelledError("the worker went away");
    if (!message.aside) {
      message.bytes = 0;
      for (const WorkerReport& report : reports) message.bytes += BytesOf(report);
      PutAside(*with.storing, message);
    }
    co_await with.ended->Wait(seen, async::After(task_state::RetryDelay(
                                        failures_count, kStoreAwayRetry, deps_.random.NextDouble(),
                                        absl::ZeroDuration())));
  }
  co_return absl::OkStatus();
}

}  // namespace slipstream::task_queue
