#include "libs/client/notification/notification_event.h"

#include <array>
#include <string_view>
#include <utility>

namespace slipstream::notification_client {

namespace {

// By EventKind.
constexpr std::array<std::string_view, 8> kNames = {
    "task_started",   "task_progress", "task_completed", "task_failed",
    "task_cancelled", "budget_alert",  "system_alert",   "performance_alert",
};

EventKind KindOf(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<EventKind>(i);
  }
  return EventKind::kOther;
}

const google::protobuf::Value& FieldOf(const google::protobuf::Struct& payload, const char* name) {
  auto it = payload.fields().find(name);
  return it == payload.fields().end() ? google::protobuf::Value::default_instance() : it->second;
}

TaskDetails DetailsOf(const google::protobuf::Struct& payload) {
  TaskDetails out;
  out.task_type = FieldOf(payload, "task_type").string_value();
  out.status = FieldOf(payload, "status").string_value();
  out.progress = FieldOf(payload, "progress").number_value();
  out.progress_message = FieldOf(payload, "progress_message").string_value();
  out.attempt = static_cast<int>(FieldOf(payload, "attempt").number_value());
  out.reason = FieldOf(payload, "reason").string_value();
  out.message = FieldOf(payload, "message").string_value();
  absl::Time next_run_at;
  if (absl::ParseTime(absl::RFC3339_full, FieldOf(payload, "next_run_at").string_value(),
                      &next_run_at, nullptr)) {
    out.next_run_at = next_run_at;
  }
  return out;
}

}  // namespace

Event ToEvent(notification::v1::Event message) {
  Event out;
  out.kind = KindOf(message.type());
  out.created_at = absl::FromUnixSeconds(message.created_at().seconds()) +
                   absl::Nanoseconds(message.created_at().nanos());
  if (out.kind <= EventKind::kTaskCancelled) out.task = DetailsOf(message.payload());
  out.message = std::move(message);
  return out;
}

}  // namespace slipstream::notification_client
