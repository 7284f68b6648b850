#include "services/task_queue/notification_publisher.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/rpc/client_call.h"
#include "libs/status/status.h"

namespace slipstream::task_queue {

namespace nv = notification::v1;

nv::PublishRequest ToPublishRequest(const OutboxEntry& entry) {
  const TaskRecord& task = entry.task;
  nv::PublishRequest request;
  request.set_channel(absl::StrCat("user:", task.owner));
  request.set_type(entry.type);
  request.set_idempotency_key(entry.idempotency_key);
  request.set_task_id(task.task_id);
  request.set_correlation_id(task.correlation_id);
  auto& payload = *request.mutable_payload()->mutable_fields();
  payload["task_type"].set_string_value(task.task_type);
  payload["status"].set_string_value(std::string(StatusName(task.status)));
  payload["progress"].set_number_value(task.progress);
  payload["progress_message"].set_string_value(task.progress_message);
  payload["attempt"].set_number_value(task.attempt);
  if (task.next_run_at) {
    payload["next_run_at"].set_string_value(
        absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", *task.next_run_at, absl::UTCTimeZone()));
  }
  if (task.error) {
    payload["reason"].set_string_value(task.error->reason);
    payload["message"].set_string_value(status::BoundedText(task.error->message, 2048));
  }
  if (!task.artifacts.empty()) {
    auto& list = *payload["artifacts"].mutable_list_value();
    for (const TaskArtifact& artifact : task.artifacts) {
      auto& fields = *list.add_values()->mutable_struct_value()->mutable_fields();
      fields["artifact_id"].set_string_value(artifact.artifact_id);
      fields["name"].set_string_value(artifact.name);
      fields["content_type"].set_string_value(artifact.content_type);
      fields["size_bytes"].set_number_value(static_cast<double>(artifact.size_bytes));
    }
  }
  return request;
}

Async<absl::Status> NotificationPublisher::Publish(std::span<const OutboxEntry> entries) {
  if (stub_ == nullptr) {
    stub_ = nv::NotificationService::NewStub(peers_.Channel("notification"));
  }
  nv::PublishManyRequest request;
  for (const OutboxEntry& entry : entries) *request.add_events() = ToPublishRequest(entry);
  const rpc::CallOptions options = peers_.OwnCall();
  auto response = co_await rpc::CallUnary<nv::PublishManyResponse>(
      options, [&](grpc::ClientContext* context, nv::PublishManyResponse* out, auto done) {
        stub_->async()->PublishMany(context, &request, out, std::move(done));
      });
  co_return response.status();
}

}  // namespace slipstream::task_queue
