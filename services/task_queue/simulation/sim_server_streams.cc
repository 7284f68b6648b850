// A worker's stream at the server: what WorkerService does with its messages, without gRPC.
#include <optional>
#include <utility>

#include "libs/status/status.h"
#include "services/task_queue/simulation/sim_server.h"

namespace slipstream::task_queue::simulation {

namespace {

std::optional<WorkerReport> ReportOf(const WorkRequest& request) {
  switch (request.message_case()) {
    case WorkRequest::kProgress: {
      const auto& progress = request.progress();
      return WorkerReport{progress.task_id(), progress.lease_epoch(),
                          ReportedProgress{progress.percent(), progress.message()}};
    }
    case WorkRequest::kSuccess: {
      task_state::Success success;
      success.result = MakeBytes(request.success().result().SerializeAsString());
      return WorkerReport{request.success().task_id(), request.success().lease_epoch(),
                          std::move(success)};
    }
    case WorkRequest::kFailure: {
      const auto& said = request.failure();
      task_state::Failure failure;
      failure.failure = {said.reason(), said.message(), said.retryable()};
      failure.retry_after = absl::Milliseconds(said.retry_after_ms());
      return WorkerReport{said.task_id(), said.lease_epoch(), std::move(failure)};
    }
    case WorkRequest::kRelease:
      return WorkerReport{request.release().task_id(), request.release().lease_epoch(),
                          ReportedRelease{}};
    default:
      return std::nullopt;
  }
}

WorkResponse AckOf(const std::string& task_id, int64_t epoch, const absl::Status& status) {
  WorkResponse response;
  auto& ack = *response.mutable_ack();
  ack.set_task_id(task_id);
  ack.set_lease_epoch(epoch);
  ack.set_accepted(status.ok());
  if (status.ok()) return response;
  const bool forgotten = status::Reason(status) == kTaskNotFound;
  *ack.mutable_error() = status::ToRpcStatus(
      forgotten ? status::Error(absl::StatusCode::kFailedPrecondition, task_state::kStaleLease,
                                std::string(status.message()))
                : status);
  return response;
}

}  // namespace

void SimServer::OnRequest(const std::shared_ptr<SimStream>& stream, WorkRequest request) {
  if (!up()) return;
  conversations_[stream].inbox.push_back(std::move(request));
  Next(stream);
}

void SimServer::OnGone(const std::shared_ptr<SimStream>& stream) {
  auto it = conversations_.find(stream);
  if (it == conversations_.end()) return;
  it->second.gone = true;
  if (!it->second.busy) Finish(stream);
}

void SimServer::Next(const std::shared_ptr<SimStream>& stream) {
  auto it = conversations_.find(stream);
  if (it == conversations_.end() || it->second.busy) return;
  Conversation& talk = it->second;
  if (talk.gone) return Finish(stream);
  if (talk.inbox.empty()) return;
  WorkRequest request = std::move(talk.inbox.front());
  talk.inbox.pop_front();
  talk.busy = true;
  Async<absl::Status> handling =
      talk.greeted ? Handle(stream, std::move(request)) : Greet(stream, std::move(request));
  talk.greeted = true;
  deps_.scheduler.Spawn(std::move(handling), [this, stream](absl::Status status) {
    Conversation& of = conversations_.at(stream);
    of.busy = false;
    if (status.ok()) return Next(stream);
    deps_.trace.Add("server ", number_, " ends a stream: ", absl::StatusCodeToString(status.code()),
                    " ", status::Reason(status));
    stream->Close();
    of.gone = true;
    Finish(stream);
  });
}

void SimServer::Finish(const std::shared_ptr<SimStream>& stream) {
  conversations_.erase(stream);
  if (stream->session_id.empty()) return;
  const int64_t failed_count = parts_->store.failed_count();
  const int64_t renewals_count = deps_.oracle.renewals_count(stream->session_id);
  deps_.scheduler.Spawn(
      [](SimServer& server, std::shared_ptr<SimStream> gone) -> Async<bool> {
        co_await server.parts_->sessions.Disconnect(gone->session_id, gone.get());
        co_return true;
      }(*this, stream),
      [this, stream, failed_count, renewals_count](bool) {
        if (failed_count == parts_->store.failed_count()) {
          deps_.oracle.OnStreamLost(stream->session_id, stream.get(), renewals_count);
        }
      });
}

Async<absl::Status> SimServer::Greet(std::shared_ptr<SimStream> stream, WorkRequest request) {
  const auto& said = request.hello();
  Hello hello;
  hello.user = stream->user();
  hello.worker_name = said.worker_name();
  hello.task_types.assign(said.task_types().begin(), said.task_types().end());
  hello.slots = said.slots();
  hello.session_id = said.session_id();
  for (const auto& held : said.held_tasks()) {
    hello.held.emplace_back(held.task_id(), held.lease_epoch());
  }
  auto welcome = co_await parts_->sessions.Connect(hello, stream);
  if (!welcome.ok()) co_return welcome.status();
  stream->session_id = welcome->session_id;
  deps_.trace.Add("server ", number_, " welcomes ", said.worker_name(), " as ",
                  deps_.trace.Session(welcome->session_id), welcome->resumed ? ", resumed" : "");
  deps_.oracle.OnConnected(welcome->session_id, stream->user(), welcome->resumed, stream.get());
  WorkResponse response;
  auto& message = *response.mutable_welcome();
  const WorkerTimes& times = deps_.settings.times;
  message.set_session_id(welcome->session_id);
  message.set_resumed(welcome->resumed);
  message.set_acks_heartbeats(true);
  message.set_lease_ms(static_cast<int>(absl::ToInt64Milliseconds(times.lease)));
  message.set_heartbeat_interval_ms(
      static_cast<int>(absl::ToInt64Milliseconds(times.heartbeat_interval)));
  for (auto& id : welcome->lost_task_ids) message.add_lost_task_ids(std::move(id));
  stream->Open(std::move(response));
  parts_->signals.work().Notify();
  co_return absl::OkStatus();
}

Async<absl::Status> SimServer::Handle(std::shared_ptr<SimStream> stream, WorkRequest request) {
  std::vector<WorkRequest> messages;
  if (request.has_batch()) {
    messages.assign(request.batch().requests().begin(), request.batch().requests().end());
  } else {
    messages.push_back(std::move(request));
  }
  for (const WorkRequest& message : messages) {
    if (!message.has_heartbeat()) continue;
    WorkResponse response;
    response.mutable_heartbeat_ack();
    stream->SendToWorker(std::move(response));
  }
  std::vector<WorkerReport> reports;
  for (const WorkRequest& message : messages) {
    if (auto report = ReportOf(message)) {
      reports.push_back(*std::move(report));
      continue;
    }
    absl::Status reported = co_await HandleReports(stream, std::exchange(reports, {}));
    if (!reported.ok()) co_return reported;
    if (message.has_heartbeat()) {
      absl::Status alive = co_await parts_->sessions.Heartbeat(stream->session_id);
      if (!alive.ok()) co_return alive;
    } else if (message.has_slots()) {
      parts_->sessions.SetFreeSlots(stream->session_id, message.slots().free_slots());
    }
  }
  co_return co_await HandleReports(stream, std::move(reports));
}

Async<absl::Status> SimServer::HandleReports(std::shared_ptr<SimStream> stream,
                                             std::vector<WorkerReport> reports) {
  if (reports.empty()) co_return absl::OkStatus();
  std::span<const WorkerReport> left(reports);
  while (!left.empty()) {
    const auto results = co_await parts_->sessions.Report(stream->session_id, left);
    size_t done = 0;
    for (; done < results.size() && !absl::IsUnavailable(results[done]); ++done) {
      const WorkerReport& report = left[done];
      if (std::holds_alternative<ReportedProgress>(report.what) && results[done].ok()) continue;
      stream->SendToWorker(AckOf(report.task_id, report.epoch, results[done]));
    }
    left = left.subspan(done);
    if (left.empty()) break;
    // The store is away: what the worker has done is kept here until it is back.
    if (conversations_.at(stream).gone) co_return absl::CancelledError("the worker went away");
    co_await deps_.scheduler.Sleep(
        owner_, deps_.scheduler.Between(absl::Milliseconds(50), absl::Milliseconds(500)));
  }
  co_return absl::OkStatus();
}

}  // namespace slipstream::task_queue::simulation
