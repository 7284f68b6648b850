// An event as a client sees it: its kind as a value, and what task events have in common as fields.
//
// Thread safety: plain values. Errors: none; a kind or a field that this version does not know is
// kOther, or left at its default.
#ifndef LIBS_CLIENT_NOTIFICATION_NOTIFICATION_EVENT_H_
#define LIBS_CLIENT_NOTIFICATION_NOTIFICATION_EVENT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "slipstream/notification/v1/notification.pb.h"

namespace slipstream::notification_client {

enum class EventKind : uint8_t {
  kTaskStarted,
  kTaskProgress,
  kTaskCompleted,
  kTaskFailed,
  kTaskCancelled,
  kBudgetAlert,
  kSystemAlert,
  kPerformanceAlert,
  kOther,  // of a later version of the service
};

// What the payload of the five task events says.
struct TaskDetails {
  std::string task_type;
  std::string status;   // SCHEDULED, PENDING, RUNNING, SUCCEEDED, FAILED, CANCELLED, EXPIRED
  double progress = 0;  // 0 to 100
  std::string progress_message;
  int attempt = 0;
  std::string reason;                     // of a failure, UPPER_SNAKE_CASE; empty for none
  std::string message;                    // the same for people
  std::optional<absl::Time> next_run_at;  // a retry is due then
};

struct Event {
  EventKind kind = EventKind::kOther;
  absl::Time created_at;
  std::optional<TaskDetails> task;  // of the five task events
  // All of it; `cursor` is where a client resumes after it.
  notification::v1::Event message;
};

Event ToEvent(notification::v1::Event message);

}  // namespace slipstream::notification_client

#endif  // LIBS_CLIENT_NOTIFICATION_NOTIFICATION_EVENT_H_
