#include "libs/client/worker/task.h"

#include <algorithm>
#include <utility>

#include "libs/timestamp/timestamp.h"

namespace slipstream::worker_client {

namespace {

// Longer ones would overflow the clock.
constexpr absl::Duration kMaxSleep = absl::Hours(24 * 365);

}  // namespace

TaskInfo InfoOf(const task_queue::v1::WorkResponse::Assignment& assignment) {
  TaskInfo info;
  info.task_id = assignment.task_id();
  info.task_type = assignment.task_type();
  info.lease_epoch = assignment.lease_epoch();
  info.attempt = assignment.attempt();
  info.max_attempts = assignment.max_attempts();
  if (assignment.has_deadline()) {
    info.deadline = timestamp::ToTime(assignment.deadline());
  }
  info.owner = assignment.owner();
  info.tenant = assignment.tenant();
  info.correlation_id = assignment.correlation_id();
  info.traceparent = assignment.traceparent();
  return info;
}

TaskContext::TaskContext(TaskInfo info, ProgressSink progress)
    : info_(std::move(info)), progress_(std::move(progress)) {}

void TaskContext::Progress(int percent, std::string_view message) {
  if (progress_ && !cancelled()) progress_(percent, message);
}

std::string TaskContext::cancel_reason() const {
  sync::MutexLock lock(mutex_);
  return reason_;
}

void TaskContext::OnCancel(std::function<void()> callback) {
  if (cancelled()) return callback();
  // A list of one, spliced in: constructing it may run the callback, which is not done under the
  // lock.
  std::list<std::stop_callback<std::function<void()>>> one;
  one.emplace_back(stop_.get_token(), std::move(callback));
  sync::MutexLock lock(mutex_);
  callbacks_.splice(callbacks_.end(), one);
}

Async<bool> TaskContext::SleepFor(absl::Duration duration) {
  co_return co_await sleeper_.SleepFor(std::min(duration, kMaxSleep));
}

void TaskContext::Cancel(std::string_view reason) {
  {
    sync::MutexLock lock(mutex_);
    if (reason_.empty()) reason_ = reason;
  }
  stop_.request_stop();
  sleeper_.RequestStop();
}

}  // namespace slipstream::worker_client
