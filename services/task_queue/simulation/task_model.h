// What the oracle knows of a task: its own, independent account of what the queue promised.
//
// Thread safety: plain values.
#ifndef SERVICES_TASK_QUEUE_SIMULATION_TASK_MODEL_H_
#define SERVICES_TASK_QUEUE_SIMULATION_TASK_MODEL_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "absl/time/time.h"
#include "services/task_queue/task.h"

namespace slipstream::task_queue::simulation {

struct TaskModel {
  NewTask spec;
  TaskStatus status = TaskStatus::kPending;
  int64_t version = 0;
  int64_t epoch = 0;
  int attempt = 0;
  int lost_in_row = 0;
  bool started = false;  // since it was submitted or restarted
  std::string session_id;
  absl::Time ready_at;
  absl::Time expires_at = absl::InfiniteFuture();   // unless started
  absl::Time deadline_at = absl::InfiniteFuture();  // of the attempt
  absl::Time finished_at = absl::InfiniteFuture();
  std::set<std::string> waits_for;
  int64_t success_epoch = 0;
  std::string result;
  // Something it waits for has ended otherwise than SUCCEEDED, then. It is to be CANCELLED; a store
  // may take a sweep for that, as for making ready what has nothing left to wait for.
  absl::Time doomed_at = absl::InfiniteFuture();
  bool removable = false;  // a cleanup or purge may have taken it
  bool gone = false;
  // The reports that were accepted, so that the repeated one is known.
  std::map<int64_t, ReportKind> reported;
  // version -> status: the changes that owners must hear of.
  std::map<int64_t, TaskStatus> owed_events;

  bool doomed() const { return doomed_at != absl::InfiniteFuture(); }
  bool unfinished() const {
    return status == TaskStatus::kScheduled || status == TaskStatus::kPending ||
           status == TaskStatus::kRunning;
  }
  std::string tenant_key() const {
    return spec.tenant.empty() ? "user/" + spec.owner : "tenant/" + spec.tenant;
  }
};

struct SessionModel {
  std::string user;
  absl::Time until;  // as the store was told
  int64_t renewals_count = 0;
  const void* stream = nullptr;  // the latest that was welcomed
  // The break of its stream has been told to the store: its tasks are free by then.
  absl::Time grace_until = absl::InfiniteFuture();
};

struct EventModel {
  int64_t last_version = 0;               // in the order of arrival
  std::map<std::string, int64_t> by_key;  // idempotency key -> version
  std::map<int64_t, TaskStatus> arrived;  // version -> status
};

}  // namespace slipstream::task_queue::simulation

#endif  // SERVICES_TASK_QUEUE_SIMULATION_TASK_MODEL_H_
