#include "services/task_queue/submit_check.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/args_cipher.h"

namespace slipstream::task_queue {

namespace {

constexpr int64_t kMaxAheadMs = int64_t{365} * 86'400'000;
constexpr int64_t kMaxExpiresInMs = int64_t{30} * 86'400'000;
constexpr int64_t kMinResultTtlMs = 1'000;
constexpr int64_t kMaxResultTtlMs = int64_t{7} * 86'400'000;
constexpr int kMaxAttemptsCount = 100;
constexpr size_t kMaxRequestIdBytes = 128;
constexpr size_t kMaxLabelsCount = 16;
constexpr size_t kMaxLabelKeyBytes = 63;
constexpr size_t kMaxLabelValueBytes = 256;
constexpr size_t kMaxKeyBytes = 256;
constexpr size_t kMaxDependenciesCount = 100;

bool IsPrintableAscii(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

absl::Status CheckBounds(const SubmitSpec& spec, absl::Time now) {
  if (spec.priority < 0 || spec.priority > static_cast<int>(TaskPriority::kUrgent)) {
    return status::FieldError("priority", "must be LOW, NORMAL, HIGH or URGENT");
  }
  if (spec.request_id.size() > kMaxRequestIdBytes || !IsPrintableAscii(spec.request_id)) {
    return status::FieldError("request_id", "must be at most 128 printable ASCII characters");
  }
  if (spec.delay_ms && (*spec.delay_ms < 0 || *spec.delay_ms > kMaxAheadMs)) {
    return status::FieldError("delay_ms", "must be 0-31,536,000,000 (365 days)");
  }
  if (spec.run_at && *spec.run_at > now + absl::Milliseconds(kMaxAheadMs)) {
    return status::FieldError("run_at", "may be at most 365 days ahead");
  }
  if (spec.expires_in_ms < 0 || spec.expires_in_ms > kMaxExpiresInMs) {
    return status::FieldError("expires_in_ms", "must be 0-2,592,000,000 (30 days); 0 is never");
  }
  if (spec.max_attempts < 0 || spec.max_attempts > kMaxAttemptsCount) {
    return status::FieldError("max_attempts", "must be 0-100; 0 is the type's");
  }
  if (spec.result_ttl_ms != 0 &&
      (spec.result_ttl_ms < kMinResultTtlMs || spec.result_ttl_ms > kMaxResultTtlMs)) {
    return status::FieldError("result_ttl_ms", "must be 1,000-604,800,000 (7 days), or 0");
  }
  if (spec.unique_key.size() > kMaxKeyBytes) {
    return status::FieldError("unique_key", "may have at most 256 bytes");
  }
  if (spec.unique_policy < 0 || spec.unique_policy > static_cast<int>(UniquePolicy::kDebounce)) {
    return status::FieldError("unique_policy", "must be REJECT, REPLACE or DEBOUNCE");
  }
  if (spec.concurrency_key.size() > kMaxKeyBytes) {
    return status::FieldError("concurrency_key", "may have at most 256 bytes");
  }
  if (spec.depends_on.size() > kMaxDependenciesCount) {
    return status::FieldError("depends_on", "may name at most 100 tasks");
  }
  if (spec.labels.size() > kMaxLabelsCount) {
    return status::FieldError("labels", "may be at most 16");
  }
  for (const auto& [key, value] : spec.labels) {
    if (key.empty() || key.size() > kMaxLabelKeyBytes || value.size() > kMaxLabelValueBytes) {
      return status::FieldError("labels", "need keys of 1-63 bytes and values of at most 256");
    }
  }
  return absl::OkStatus();
}

absl::Status KeyMissing(const std::string& task_type) {
  return status::Error(
      absl::StatusCode::kFailedPrecondition, kSensitiveKeyMissing,
      absl::StrCat("task type ", task_type,
                   " has sensitive arguments, and this queue has no key to ",
                   "encrypt them with; its operator sets task_queue.sensitive_args_key to what ",
                   "`openssl rand -base64 32` prints, the same at all servers"),
      {{"task_type", task_type}});
}

template <class T>
T OrDefault(T value, T fallback) {
  return value == T{} ? fallback : value;
}

}  // namespace

std::string SerializeDeterministically(const google::protobuf::MessageLite& message) {
  const size_t size = message.ByteSizeLong();
  std::string out(size, '\0');
  google::protobuf::io::ArrayOutputStream stream(out.data(), static_cast<int>(size));
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeWithCachedSizes(&coded);
  return out;
}

absl::StatusOr<NewTask> CheckSubmit(const Caller& caller, const SubmitSpec& spec,
                                    const TaskTypeRegistry& registry, const SubmitLimits& limits,
                                    const ArgsCipher* cipher, absl::Time now) {
  if (!spec.not_built_feature.empty()) return status::NotBuiltYet(spec.not_built_feature);
  if (spec.task_type.empty()) return status::FieldError("task_type", "is required");
  auto known = registry.Find(spec.task_type);
  if (!known.ok()) return known.status();
  const v1::TaskType& type = (*known)->type;
  if (absl::Status bounds = CheckBounds(spec, now); !bounds.ok()) return bounds;

  std::string args = SerializeDeterministically(spec.Args());
  if (static_cast<int64_t>(args.size()) > limits.max_args_bytes) {
    return status::FieldError(
        "args", absl::StrCat("has ", args.size(), " bytes; at most ", limits.max_args_bytes,
                             " are allowed, upload larger input as an artifact"));
  }
  const auto violations = (*known)->schema.Check(spec.Args());
  if (!violations.empty()) return status::FieldErrors(violations);
  if (UsesSealedField(spec.Args(), args)) {
    return status::FieldError("args", absl::StrCat("may not use the name ", kSealedField));
  }
  std::string fingerprint = spec.fingerprint;
  if ((*known)->sensitive) {
    if (cipher == nullptr) return KeyMissing(type.name());
    google::protobuf::Struct sealed = spec.Args();
    absl::Status done =
        cipher->Seal((*known)->schema, {caller.user, caller.tenant, type.name()}, sealed);
    if (!done.ok()) return done;
    args = SerializeDeterministically(sealed);
    if (!fingerprint.empty()) fingerprint = cipher->Keyed(fingerprint);
  }

  const absl::Duration type_deadline =
      OrDefault(absl::Milliseconds(type.deadline_ms()), limits.default_attempt_deadline);
  const absl::Duration deadline = absl::Milliseconds(spec.deadline_ms);
  if (spec.deadline_ms < 0 || deadline > type_deadline) {
    return status::FieldError("deadline_ms",
                              absl::StrCat("must be 0-", absl::ToInt64Milliseconds(type_deadline),
                                           ", the deadline of this type"));
  }

  NewTask task;
  task.task_type = type.name();
  task.priority =
      static_cast<TaskPriority>(OrDefault(spec.priority, static_cast<int>(TaskPriority::kNormal)));
  task.args = MakeBytes(std::move(args));
  task.owner = caller.user;
  task.tenant = caller.tenant;
  task.correlation_id = caller.correlation_id;
  task.traceparent = caller.traceparent;
  task.request_id = spec.request_id;
  task.fingerprint = std::move(fingerprint);
  if (spec.run_at) task.run_at = *spec.run_at;
  if (spec.delay_ms && *spec.delay_ms > 0) task.run_at = now + absl::Milliseconds(*spec.delay_ms);
  if (spec.expires_in_ms > 0) task.expires_in = absl::Milliseconds(spec.expires_in_ms);
  task.max_attempts =
      OrDefault(OrDefault(spec.max_attempts, type.max_attempts()), limits.default_max_attempts);
  task.attempt_deadline = OrDefault(deadline, type_deadline);
  task.result_ttl = OrDefault(absl::Milliseconds(spec.result_ttl_ms), limits.default_result_ttl);
  task.labels = spec.labels;
  task.unique_key = spec.unique_key;
  if (spec.unique_policy != 0) task.unique_policy = static_cast<UniquePolicy>(spec.unique_policy);
  task.concurrency_key = spec.concurrency_key;
  return task;
}

}  // namespace slipstream::task_queue
