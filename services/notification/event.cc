#include "services/notification/event.h"

#include <array>

namespace slipstream::notification {

namespace {

constexpr std::array<std::string_view, kEventTypeCount> kNames = {
    "task_started",   "task_progress", "task_completed", "task_failed",
    "task_cancelled", "budget_alert",  "system_alert",   "performance_alert",
};

}  // namespace

std::string_view EventTypeName(EventType type) { return kNames[static_cast<size_t>(type)]; }

std::optional<EventType> ParseEventType(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<EventType>(i);
  }
  return std::nullopt;
}

std::string EventTypeNames() {
  std::string out;
  for (std::string_view name : kNames) {
    if (!out.empty()) out += ", ";
    out += name;
  }
  return out;
}

}  // namespace slipstream::notification
