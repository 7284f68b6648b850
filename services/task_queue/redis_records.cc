#include "services/task_queue/redis_records.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/redis_fields.h"

namespace slipstream::task_queue::redis_codec {

namespace {

// Fields of a card (immutable) and of a state. Numbers are never used again for something else.
enum CardTag : uint8_t {
  kCardType = 1,
  kCardPriority,
  kCardOwner,
  kCardTenant,
  kCardCorrelationId,
  kCardTraceparent,
  kCardLabelKey,
  kCardLabelValue,
  kCardCreatedAt,
  kCardMaxAttempts,
  kCardExpiresIn,
  kCardAttemptDeadline,
  kCardResultTtl,
  kCardUniqueKey,
  kCardConcurrencyKey,
  kCardDependsOn,
  kCardRunAt,
  kCardCorrelationUuid,  // the 16 bytes, when it is a UUID
  kCardTrace,            // the 25 bytes of a traceparent of version 00
};
enum StateTag : uint8_t {
  kStateProgress = 1,
  kStateProgressMessage,
  kStateErrorReason,
  kStateErrorMessage,
  kStateErrorRetryable,
  kStateAttempt,
  kStateArtifactId,
  kStateArtifactName,
  kStateArtifactContentType,
  kStateArtifactSize,
  kStateCost,
  kStateInputTokens,
  kStateOutputTokens,
  kStateReadyAt,
  kStateRunAt,
  kStateNextRunAt,
  kStateStartedAt,
  kStateFinishedAt,
  kStateExpiresAt,
  kStateLeaseEpoch,
  kStateSessionId,
  kStateAttemptDeadlineAt,
  kStateReportedEpoch,
  kStateReportedKind,
  kStateLostLeases,
  kStateWaitsFor,
  kStateHasDependents,
  kStateLimited,
  kStateStatus,
  kStateResult,
};

}  // namespace

absl::Status Broken(std::string_view what) {
  return status::Error(
      absl::StatusCode::kDataLoss, "STORED_TASK_BROKEN",
      absl::StrCat("what Redis holds as the ", absl::string_view(what.data(), what.size()),
                   " of a task is not that; does something else write there?"));
}

void WriteCard(const TaskRecord& task, std::string& out) {
  Writer w(out);
  w.Bytes(kCardType, task.task_type);
  w.Number(kCardPriority, static_cast<uint64_t>(task.priority));
  w.Bytes(kCardOwner, task.owner);
  w.Bytes(kCardTenant, task.tenant);
  // Most are ours, and half as long as bytes.
  if (std::array<char, kIdBytes> uuid; PackId(task.correlation_id, uuid.data())) {
    w.Always(kCardCorrelationUuid, {uuid.data(), uuid.size()});
  } else {
    w.Bytes(kCardCorrelationId, task.correlation_id);
  }
  if (std::array<char, kTraceBytes> trace; PackTraceparent(task.traceparent, trace.data())) {
    w.Always(kCardTrace, {trace.data(), trace.size()});
  } else {
    w.Bytes(kCardTraceparent, task.traceparent);
  }
  for (const auto& [key, value] : task.labels) {
    w.Always(kCardLabelKey, key);
    w.Always(kCardLabelValue, value);
  }
  w.Time(kCardCreatedAt, task.created_at);
  w.Number(kCardMaxAttempts, static_cast<uint64_t>(task.max_attempts));
  w.Duration(kCardExpiresIn, task.expires_in);
  w.Duration(kCardAttemptDeadline, task.attempt_deadline);
  w.Duration(kCardResultTtl, task.result_ttl);
  w.Bytes(kCardUniqueKey, task.unique_key);
  w.Bytes(kCardConcurrencyKey, task.concurrency_key);
  for (const std::string& id : task.depends_on) w.Always(kCardDependsOn, PackId(id));
  w.Time(kCardRunAt, task.run_at);
}

absl::Status ReadCard(std::string_view card, TaskRecord& task) {
  Reader r(card);
  std::string label;
  while (r.Next()) {
    switch (r.tag()) {
      case kCardType:
        task.task_type = r.text();
        break;
      case kCardPriority:
        task.priority = static_cast<TaskPriority>(r.number());
        break;
      case kCardOwner:
        task.owner = r.text();
        break;
      case kCardTenant:
        task.tenant = r.text();
        break;
      case kCardCorrelationId:
        task.correlation_id = r.text();
        break;
      case kCardTraceparent:
        task.traceparent = r.text();
        break;
      case kCardCorrelationUuid:
        task.correlation_id = UnpackId(r.bytes());
        break;
      case kCardTrace:
        task.traceparent = UnpackTraceparent(r.bytes());
        break;
      case kCardLabelKey:
        label = r.text();
        break;
      case kCardLabelValue:
        task.labels[label] = r.text();
        break;
      case kCardCreatedAt:
        task.created_at = r.time();
        break;
      case kCardMaxAttempts:
        task.max_attempts = static_cast<int>(r.number());
        break;
      case kCardExpiresIn:
        task.expires_in = r.duration();
        break;
      case kCardAttemptDeadline:
        task.attempt_deadline = r.duration();
        break;
      case kCardResultTtl:
        task.result_ttl = r.duration();
        break;
      case kCardUniqueKey:
        task.unique_key = r.text();
        break;
      case kCardConcurrencyKey:
        task.concurrency_key = r.text();
        break;
      case kCardDependsOn:
        task.depends_on.push_back(UnpackId(r.bytes()));
        break;
      case kCardRunAt:
        task.run_at = r.time();
        break;
      default:
        break;
    }
  }
  return r.broken() ? Broken("body") : absl::OkStatus();
}

void WriteState(const Stored& stored, bool with_result, std::string& out) {
  const TaskRecord& task = stored.task;
  Writer w(out);
  w.Number(kStateStatus, static_cast<uint64_t>(task.status));
  w.Number(kStateProgress, static_cast<uint64_t>(task.progress));
  w.Bytes(kStateProgressMessage, task.progress_message);
  if (task.error) {
    w.Always(kStateErrorReason, task.error->reason);
    w.Bytes(kStateErrorMessage, task.error->message);
    w.Number(kStateErrorRetryable, task.error->retryable ? 1 : 0);
  }
  w.Number(kStateAttempt, static_cast<uint64_t>(task.attempt));
  for (const TaskArtifact& artifact : task.artifacts) {
    w.Always(kStateArtifactId, artifact.artifact_id);
    w.Bytes(kStateArtifactName, artifact.name);
    w.Bytes(kStateArtifactContentType, artifact.content_type);
    w.Number(kStateArtifactSize, static_cast<uint64_t>(artifact.size_bytes));
  }
  if (task.usage) {
    // One more, so that a usage of nothing is told from none.
    w.Number(kStateCost, static_cast<uint64_t>(task.usage->cost_usd_micros) + 1);
    w.Number(kStateInputTokens, static_cast<uint64_t>(task.usage->input_tokens));
    w.Number(kStateOutputTokens, static_cast<uint64_t>(task.usage->output_tokens));
  }
  w.Time(kStateReadyAt, task.ready_at);
  w.Time(kStateRunAt, task.run_at);
  w.Time(kStateNextRunAt, task.next_run_at);
  w.Time(kStateStartedAt, task.started_at);
  w.Time(kStateFinishedAt, task.finished_at);
  w.Time(kStateExpiresAt, task.expires_at);
  w.Number(kStateLeaseEpoch, static_cast<uint64_t>(task.lease_epoch));
  w.Bytes(kStateSessionId, task.session_id);
  w.Time(kStateAttemptDeadlineAt, task.attempt_deadline_at);
  w.Number(kStateReportedEpoch, static_cast<uint64_t>(task.reported_epoch));
  w.Number(kStateReportedKind, static_cast<uint64_t>(task.reported_kind));
  w.Number(kStateLostLeases, static_cast<uint64_t>(task.lost_leases_count));
  for (const std::string& id : task.waits_for) w.Always(kStateWaitsFor, PackId(id));
  w.Number(kStateHasDependents, stored.has_dependents ? 1 : 0);
  w.Number(kStateLimited, stored.limited ? 1 : 0);
  if (with_result && task.result != nullptr) w.Always(kStateResult, *task.result);
}

absl::Status ReadState(std::string_view state, Stored& stored) {
  TaskRecord& task = stored.task;
  task.ready_at = absl::InfiniteFuture();
  task.expires_at = absl::InfiniteFuture();
  task.run_at.reset();
  Reader r(state);
  while (r.Next()) {
    switch (r.tag()) {
      case kStateStatus:
        task.status = static_cast<TaskStatus>(r.number());
        break;
      case kStateProgress:
        task.progress = static_cast<int>(r.number());
        break;
      case kStateProgressMessage:
        task.progress_message = r.text();
        break;
      case kStateErrorReason:
        task.error.emplace().reason = r.text();
        break;
      case kStateErrorMessage:
        if (task.error) task.error->message = r.text();
        break;
      case kStateErrorRetryable:
        if (task.error) task.error->retryable = true;
        break;
      case kStateAttempt:
        task.attempt = static_cast<int>(r.number());
        break;
      case kStateArtifactId:
        task.artifacts.emplace_back().artifact_id = r.text();
        break;
      case kStateArtifactName:
        if (!task.artifacts.empty()) task.artifacts.back().name = r.text();
        break;
      case kStateArtifactContentType:
        if (!task.artifacts.empty()) task.artifacts.back().content_type = r.text();
        break;
      case kStateArtifactSize:
        if (!task.artifacts.empty()) task.artifacts.back().size_bytes = r.number();
        break;
      case kStateCost:
        task.usage.emplace().cost_usd_micros = r.number() - 1;
        break;
      case kStateInputTokens:
        if (task.usage) task.usage->input_tokens = r.number();
        break;
      case kStateOutputTokens:
        if (task.usage) task.usage->output_tokens = r.number();
        break;
      case kStateReadyAt:
        task.ready_at = r.time();
        break;
      case kStateRunAt:
        task.run_at = r.time();
        break;
      case kStateNextRunAt:
        task.next_run_at = r.time();
        break;
      case kStateStartedAt:
        task.started_at = r.time();
        break;
      case kStateFinishedAt:
        task.finished_at = r.time();
        break;
      case kStateExpiresAt:
        task.expires_at = r.time();
        break;
      case kStateLeaseEpoch:
        task.lease_epoch = r.number();
        break;
      case kStateSessionId:
        task.session_id = r.text();
        break;
      case kStateAttemptDeadlineAt:
        task.attempt_deadline_at = r.time();
        break;
      case kStateReportedEpoch:
        task.reported_epoch = r.number();
        break;
      case kStateReportedKind:
        task.reported_kind = static_cast<ReportKind>(r.number());
        break;
      case kStateLostLeases:
        task.lost_leases_count = static_cast<int>(r.number());
        break;
      case kStateWaitsFor:
        task.waits_for.push_back(UnpackId(r.bytes()));
        break;
      case kStateHasDependents:
        stored.has_dependents = true;
        break;
      case kStateLimited:
        stored.limited = true;
        break;
      case kStateResult:
        task.result = MakeBytes(r.text());
        break;
      default:
        break;
    }
  }
  return r.broken() ? Broken("state") : absl::OkStatus();
}

}  // namespace slipstream::task_queue::redis_codec
