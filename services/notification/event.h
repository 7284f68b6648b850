// One event as the engine and the stores see it: what they decide by, and the encoded rest.
//
// Purpose: the service encodes an event once when it is published; everything after that shares the
// same immutable record, so an event for a thousand receivers is one allocation.
// Thread safety: plain values; records are immutable once they are behind an EventPtr.
#ifndef SERVICES_NOTIFICATION_EVENT_H_
#define SERVICES_NOTIFICATION_EVENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "services/notification/channel.h"

namespace slipstream::notification {

enum class EventType : uint8_t {
  kTaskStarted,
  kTaskProgress,
  kTaskCompleted,
  kTaskFailed,
  kTaskCancelled,
  kBudgetAlert,
  kSystemAlert,
  kPerformanceAlert,
};
inline constexpr size_t kEventTypeCount = 8;

// "task_started" and so on, as on the wire.
std::string_view EventTypeName(EventType type);
std::optional<EventType> ParseEventType(std::string_view name);
// All eight names, joined by ", ", for error texts.
std::string EventTypeNames();

// Of these types a newer one of the same task replaces an older one; they have no position.
inline bool IsConflated(EventType type) { return type == EventType::kTaskProgress; }
// After one of these a task makes no more progress.
inline bool EndsTask(EventType type) {
  return type == EventType::kTaskCompleted || type == EventType::kTaskFailed ||
         type == EventType::kTaskCancelled;
}

// A set of event types, one bit each.
using TypeSet = uint8_t;
inline constexpr TypeSet kAllTypes = 0xff;
inline TypeSet TypeBit(EventType type) {
  return static_cast<TypeSet>(1u << static_cast<unsigned>(type));
}

// A place in a channel. Offsets start at 1 and have no gaps within an epoch; offset 0 is the place
// before the first event. Epoch 0 stands for "no position".
struct Position {
  uint64_t epoch = 0;
  uint64_t offset = 0;
  bool is_set() const { return epoch != 0; }
  bool operator==(const Position&) const = default;
};

struct Event {
  std::string id;
  EventType type = EventType::kSystemAlert;
  Channel channel;
  std::string task_id;
  absl::Time created_at;
  // Monotonic time of the publish on this node, for the delivery latency.
  absl::Duration published_at;
  // The serialized slipstream.notification.v1.Event without `position` and `cursor`. Opaque here.
  std::string encoded;
  // Given by the store; not set for conflated types.
  Position position;

  // Memory that keeping this event takes, in bytes.
  size_t HeldBytes() const {
    return sizeof(Event) + id.size() + channel.id.size() + task_id.size() + encoded.size();
  }
};

using EventPtr = std::shared_ptr<const Event>;

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_EVENT_H_
