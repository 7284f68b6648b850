#include "services/task_queue/task_proto.h"

#include <xxhash.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "libs/timestamp/timestamp.h"

namespace slipstream::task_queue {

namespace {

void SetTime(const std::optional<absl::Time>& time,
             google::protobuf::Timestamp* (v1::Task::*field)(), v1::Task* out) {
  if (time) *(out->*field)() = timestamp::FromTime(*time);
}

// The name of the first option used that this build does not have, or "".
std::string NotBuiltFeature(const v1::SubmitTaskRequest& request) {
  if (request.webhook_ids_size() > 0) return "webhook_ids of a submit";
  return "";
}

// Of the content without the request id: two submits are the same when this is. XXH3-128 is
// stable across processes; a collision harms nobody but the user who made it.
std::string Fingerprint(v1::SubmitTaskRequest request) {
  request.clear_request_id();
  const std::string bytes = SerializeDeterministically(request);
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return absl::StrCat(absl::Hex(hash.high64, absl::kZeroPad16),
                      absl::Hex(hash.low64, absl::kZeroPad16));
}

// A message field whose bytes are there already. On the wire it is the field; it is not taken apart
// into a Struct here only to be put together again.
void SetBytes(int field, const std::string& bytes, google::protobuf::Message* out) {
  out->GetReflection()->MutableUnknownFields(out)->AddLengthDelimited(field, bytes);
}

void SetDistribution(const Distribution& in, v1::QueueStats::Percentiles* out) {
  out->set_count(in.count);
  out->set_p50_ms(in.p50_ms);
  out->set_p95_ms(in.p95_ms);
  out->set_p99_ms(in.p99_ms);
  out->set_max_ms(in.max_ms);
}

int64_t WaitMs(absl::Time since, absl::Time now) {
  if (since == absl::InfiniteFuture()) return 0;
  return std::max<int64_t>(0, absl::ToInt64Milliseconds(now - since));
}

void AddDepths(const StoreStats& stats, absl::Time now, const std::string& task_type,
               v1::QueueStats* out) {
  constexpr int kMaxDepthsCount = 1'000;
  int64_t oldest = 0;
  for (const auto& depth : stats.depths) {
    if (!task_type.empty() && depth.task_type != task_type) continue;
    const int64_t wait = WaitMs(depth.oldest_ready_at, now);
    oldest = std::max(oldest, wait);
    if (out->depths_size() >= kMaxDepthsCount) continue;
    auto* added = out->add_depths();
    added->set_task_type(depth.task_type);
    added->set_priority(static_cast<v1::Task::Priority>(depth.priority));
    added->set_pending_count(depth.pending_count);
    added->set_scheduled_count(depth.scheduled_count);
    added->set_oldest_wait_ms(wait);
  }
  out->set_oldest_wait_ms(oldest);
}

void AddWorkers(const std::vector<SessionInfo>& workers, v1::QueueStats* out) {
  constexpr int kMaxWorkersCount = 1'000;
  for (const SessionInfo& worker : workers) {
    if (out->workers_size() >= kMaxWorkersCount) break;
    auto* added = out->add_workers();
    added->set_session_id(worker.session_id);
    added->set_worker_name(worker.worker_name);
    for (const auto& type : worker.task_types) added->add_task_types(type);
    added->set_slots(worker.slots);
    for (const auto& id : worker.task_ids) added->add_task_ids(id);
    *added->mutable_connected_at() = timestamp::FromTime(worker.connected_at);
    *added->mutable_last_heartbeat_at() = timestamp::FromTime(worker.last_heartbeat_at);
    added->set_draining(worker.draining);
    added->set_held_count(worker.held_count);
  }
}

}  // namespace

void ToProto(const TaskRecord& task, v1::Task* out) {
  out->set_task_id(task.task_id);
  out->set_task_type(task.task_type);
  out->set_status(static_cast<v1::Task::Status>(task.status));
  out->set_priority(static_cast<v1::Task::Priority>(task.priority));
  out->set_progress(task.progress);
  if (!task.progress_message.empty()) out->set_progress_message(task.progress_message);
  if (task.result != nullptr) SetBytes(v1::Task::kResultFieldNumber, *task.result, out);
  if (task.error) {
    out->mutable_error()->set_reason(task.error->reason);
    out->mutable_error()->set_message(task.error->message);
    out->mutable_error()->set_retryable(task.error->retryable);
  }
  out->set_attempt(task.attempt);
  out->set_max_attempts(task.max_attempts);
  *out->mutable_created_at() = timestamp::FromTime(task.created_at);
  SetTime(task.started_at, &v1::Task::mutable_started_at, out);
  SetTime(task.finished_at, &v1::Task::mutable_finished_at, out);
  SetTime(task.run_at, &v1::Task::mutable_run_at, out);
  SetTime(task.next_run_at, &v1::Task::mutable_next_run_at, out);
  if (task.expires_at != absl::InfiniteFuture()) {
    *out->mutable_expires_at() = timestamp::FromTime(task.expires_at);
  }
  for (const TaskArtifact& artifact : task.artifacts) {
    auto* added = out->add_artifacts();
    added->set_artifact_id(artifact.artifact_id);
    added->set_name(artifact.name);
    added->set_content_type(artifact.content_type);
    added->set_size_bytes(artifact.size_bytes);
  }
  out->set_owner(task.owner);
  if (!task.tenant.empty()) out->set_tenant(task.tenant);
  out->set_correlation_id(task.correlation_id);
  out->set_durable(task.durable);
  for (const std::string& id : task.depends_on) out->add_depends_on(id);
  for (const auto& [key, value] : task.labels) (*out->mutable_labels())[key] = value;
  if (task.usage) {
    out->mutable_usage()->set_cost_usd_micros(task.usage->cost_usd_micros);
    out->mutable_usage()->set_input_tokens(task.usage->input_tokens);
    out->mutable_usage()->set_output_tokens(task.usage->output_tokens);
  }
}

v1::TaskError ToTaskError(const absl::Status& status) {
  v1::TaskError error;
  const std::string reason = status::Reason(status);
  error.set_reason(reason.empty() ? std::string(absl::StatusCodeToString(status.code())) : reason);
  error.set_message(std::string(status.message()));
  error.set_retryable(status::RetryAfter(status).has_value());
  return error;
}

void ToProto(const TaskRecord& task, v1::WorkResponse::Assignment* out) {
  out->set_task_id(task.task_id);
  out->set_task_type(task.task_type);
  if (task.args != nullptr) {
    SetBytes(v1::WorkResponse::Assignment::kArgsFieldNumber, *task.args, out);
  }
  out->set_lease_epoch(task.lease_epoch);
  out->set_attempt(task.attempt);
  out->set_max_attempts(task.max_attempts);
  *out->mutable_deadline() = timestamp::FromTime(task.attempt_deadline_at);
  out->set_owner(task.owner);
  if (!task.tenant.empty()) out->set_tenant(task.tenant);
  out->set_correlation_id(task.correlation_id);
  out->set_traceparent(task.traceparent);
  out->set_priority(static_cast<v1::Task::Priority>(task.priority));
}

void ToProto(const QueueReport& report, absl::Time now, const std::string& task_type, bool admin,
             v1::QueueStats* out) {
  *out->mutable_taken_at() = timestamp::FromTime(now);
  out->set_window_ms(static_cast<int>(absl::ToInt64Milliseconds(kFiguresWindow)));
  for (int status = 1; status < kTaskStatusCount; ++status) {
    auto* added = out->add_statuses();
    added->set_status(static_cast<v1::Task::Status>(status));
    added->set_count(report.store.by_status[static_cast<size_t>(status)]);
  }
  AddDepths(report.store, now, task_type, out);
  out->set_submitted_per_second(report.figures.submitted_per_second);
  out->set_finished_per_second(report.figures.finished_per_second);
  SetDistribution(report.figures.wait, out->mutable_wait());
  SetDistribution(report.figures.run, out->mutable_run());
  out->set_success_ratio(report.figures.success_ratio);
  out->set_retry_ratio(report.figures.retry_ratio);
  for (const FailureGroup& group : report.figures.failures) {
    if (!task_type.empty() && group.task_type != task_type) continue;
    auto* added = out->add_failures();
    added->set_task_type(group.task_type);
    added->set_reason(group.reason);
    added->set_count(group.count);
    *added->mutable_first_at() = timestamp::FromTime(group.first_at);
    *added->mutable_last_at() = timestamp::FromTime(group.last_at);
    if (admin) added->set_example_task_id(group.example_task_id);
  }
  if (admin) AddWorkers(report.workers, out);
  for (const auto& type : report.store.paused_task_types) out->add_paused_task_types(type);
  out->set_dead_letter_count(report.store.by_status[static_cast<size_t>(TaskStatus::kFailed)]);
  out->set_outbox_count(report.store.outbox_count);
  out->set_stale_refused_count(report.figures.stale_refused_count);
  out->set_store(std::string(report.store_name));
  out->set_degraded(report.degraded);
}

SubmitSpec FromProto(const v1::SubmitTaskRequest& request) {
  SubmitSpec spec;
  spec.task_type = request.task_type();
  spec.borrowed_args = &request.args();
  spec.priority = request.priority();
  spec.request_id = request.request_id();
  if (!request.request_id().empty()) spec.fingerprint = Fingerprint(request);
  if (request.has_delay_ms()) spec.delay_ms = request.delay_ms();
  if (request.has_run_at()) {
    spec.run_at = timestamp::ToTime(request.run_at());
  }
  spec.expires_in_ms = request.expires_in_ms();
  spec.max_attempts = request.max_attempts();
  spec.deadline_ms = request.deadline_ms();
  spec.result_ttl_ms = request.result_ttl_ms();
  spec.labels.insert(request.labels().begin(), request.labels().end());
  spec.unique_key = request.unique_key();
  spec.unique_policy = request.unique_policy();
  spec.concurrency_key = request.concurrency_key();
  spec.depends_on.assign(request.depends_on().begin(), request.depends_on().end());
  spec.not_built_feature = NotBuiltFeature(request);
  return spec;
}

Hello FromProto(const v1::WorkRequest::Hello& hello, std::string user) {
  Hello out;
  out.user = std::move(user);
  out.worker_name = hello.worker_name();
  out.task_types.assign(hello.task_types().begin(), hello.task_types().end());
  out.slots = hello.slots();
  out.session_id = hello.session_id();
  for (const auto& held : hello.held_tasks()) {
    out.held.emplace_back(held.task_id(), held.lease_epoch());
  }
  return out;
}

TaskUsage FromProto(const v1::TaskUsage& usage) {
  return {std::max<int64_t>(0, usage.cost_usd_micros()), std::max<int64_t>(0, usage.input_tokens()),
          std::max<int64_t>(0, usage.output_tokens())};
}

}  // namespace slipstream::task_queue
