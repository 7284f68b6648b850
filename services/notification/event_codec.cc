#include "services/notification/event_codec.h"

#include <utility>

#include "libs/status/status.h"
#include "libs/timestamp/timestamp.h"

namespace slipstream::notification {

namespace {

absl::Status CheckSize(const std::string& path, const char* field, size_t size, size_t max) {
  if (size <= max) return absl::OkStatus();
  return status::FieldError(path + field, "at most " + std::to_string(max) + " bytes");
}

}  // namespace

absl::StatusOr<AppendRequest> ToAppend(const v1::PublishRequest& request, const std::string& path,
                                       const std::string& correlation_id, const clock::Clock& clock,
                                       random::Random& random) {
  auto channel = ParseChannel(request.channel());
  if (!channel) {
    return status::FieldError(path + "channel",
                              "one of user:U, tenant:T and broadcast, at most 300 bytes");
  }
  const auto type = ParseEventType(request.type());
  if (!type) return status::FieldError(path + "type", "one of " + EventTypeNames());
  for (const absl::Status& checked :
       {CheckSize(path, "payload", request.payload().ByteSizeLong(), kMaxPayloadBytes),
        CheckSize(path, "idempotency_key", request.idempotency_key().size(), kMaxKeyBytes),
        CheckSize(path, "task_id", request.task_id().size(), kMaxTaskIdBytes),
        CheckSize(path, "correlation_id", request.correlation_id().size(),
                  kMaxCorrelationIdBytes)}) {
    if (!checked.ok()) return checked;
  }
  if (IsConflated(*type) && request.task_id().empty()) {
    return status::FieldError(path + "task_id", "needed for task_progress");
  }
  AppendRequest out;
  out.idempotency_key = request.idempotency_key();
  Event& event = out.event;
  event.id = random::Uuid7(clock, random);
  event.type = *type;
  event.channel = *std::move(channel);
  event.task_id = request.task_id();
  event.created_at = clock.Now();
  event.published_at = clock.Monotonic();

  v1::Event message;
  message.set_event_id(event.id);
  message.set_type(request.type());
  message.set_channel(request.channel());
  *message.mutable_created_at() = timestamp::FromTime(event.created_at);
  message.set_task_id(request.task_id());
  message.set_correlation_id(request.correlation_id().empty() ? correlation_id
                                                              : request.correlation_id());
  if (request.has_payload()) *message.mutable_payload() = request.payload();
  event.encoded = message.SerializeAsString();
  return out;
}

v1::Event ToProto(const Event& event) {
  v1::Event out;
  // Our own bytes: they parse.
  (void)out.ParseFromString(event.encoded);
  out.set_position(FormatPosition(event.position));
  return out;
}

v1::PublishResponse ToProto(const Appended& appended) {
  v1::PublishResponse out;
  out.set_event_id(appended.event_id);
  out.set_position(FormatPosition(appended.position));
  out.set_duplicate(appended.duplicate);
  return out;
}

absl::StatusOr<TypeSet> ToTypes(const google::protobuf::RepeatedPtrField<std::string>& names) {
  if (names.empty()) return kAllTypes;
  if (names.size() > kMaxTypesCount) return status::FieldError("types", "at most 8");
  TypeSet out = 0;
  for (const std::string& name : names) {
    const auto type = ParseEventType(name);
    if (!type) return status::FieldError("types", "each one of " + EventTypeNames());
    out |= TypeBit(*type);
  }
  return out;
}

absl::StatusOr<std::optional<Cursor>> ToCursor(const std::string& text, const char* field) {
  if (text.empty()) return std::optional<Cursor>();
  auto cursor = ParseCursor(text);
  if (!cursor) {
    return status::FieldError(field,
                              "the `cursor` of an event as it came, or empty to start from now");
  }
  return std::optional<Cursor>(*cursor);
}

}  // namespace slipstream::notification
