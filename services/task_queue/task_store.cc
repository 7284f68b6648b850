// The errors that every store answers with, in one wording.
#include "services/task_queue/task_store.h"

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::task_queue {

absl::Status TaskNotFound(std::string_view task_id) {
  return status::Error(
      absl::StatusCode::kNotFound, kTaskNotFound,
      absl::StrCat("there is no task ", status::BoundedText({task_id.data(), task_id.size()}, 64),
                   "; results are kept for a limited time after the end"));
}

absl::Status QueueFull(std::string_view what) {
  return status::WithRetryAfter(
      status::Error(absl::StatusCode::kResourceExhausted, kQueueFull,
                    absl::StrCat("the queue is full (", absl::string_view(what.data(), what.size()),
                                 "); try again later, or raise the bound and restart")),
      absl::Seconds(5));
}

absl::Status RequestIdReused(std::string_view task_id) {
  const std::string id(task_id);
  return status::Error(absl::StatusCode::kAlreadyExists, kRequestIdReused,
                       absl::StrCat("request_id was used for another submit (task ", id,
                                    "); use a new one for new content"),
                       {{"task_id", id}});
}

absl::Status RequestAlreadyDone(std::string_view task_id) {
  const std::string id(task_id);
  return status::Error(absl::StatusCode::kAlreadyExists, kRequestAlreadyDone,
                       absl::StrCat("this request was accepted as task ", id,
                                    ", whose result is no longer kept; use a new request_id "
                                    "to run it again"),
                       {{"task_id", id}});
}

absl::Status UniqueKeyTaken(std::string_view task_id) {
  const std::string id(task_id);
  return status::Error(absl::StatusCode::kAlreadyExists, kUniqueKeyTaken,
                       absl::StrCat("task ", id,
                                    " has this unique_key and has not ended; wait "
                                    "for its end or cancel it"),
                       {{"task_id", id}});
}

absl::Status UnknownDependency(std::string_view task_id) {
  return status::FieldError(
      "depends_on",
      absl::StrCat("names ", status::BoundedText({task_id.data(), task_id.size()}, 64),
                   ", which is none of your tasks; ended ones are kept for a limited time"));
}

absl::Status DependencyEnded(std::string_view task_id, TaskStatus status) {
  const std::string id(task_id);
  const std::string_view name = StatusName(status);
  return status::Error(
      absl::StatusCode::kFailedPrecondition, task_state::kDependencyFailed,
      absl::StrCat("task ", id, " of depends_on has ended as ",
                   absl::string_view(name.data(), name.size()), "; restart it first"),
      {{"task_id", id}});
}

}  // namespace slipstream::task_queue
