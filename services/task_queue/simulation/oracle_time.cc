// What time does: sweeps, cleanups, purges and pauses.
#include <algorithm>

#include "services/task_queue/simulation/oracle.h"

namespace slipstream::task_queue::simulation {

namespace {

// After so many workers lost in a row the task itself is the suspect.
constexpr int kMaxLostInRow = 10;

std::string Status(TaskStatus status) { return std::string(StatusName(status)); }

}  // namespace

void Oracle::OnSweep(const absl::StatusOr<SweepResult>& result, absl::Time now) {
  if (!result.ok()) return;
  for (const TaskRecord& record : result->changed) {
    TaskModel* model = Known(record.task_id, "a sweep");
    if (model == nullptr) return;
    deps_.trace.Add("store: by time ", Name(record.task_id), " ", Status(model->status), " -> ",
                    Status(record.status));
    SweepOne(*model, record, now);
  }
  if (result->more) return;
  std::erase_if(sessions_, [&](const auto& session) { return session.second.until <= now; });
}

void Oracle::SweepOne(TaskModel& model, const TaskRecord& record, absl::Time now) {
  const std::string& name = Name(record.task_id);
  TaskStatus was = model.status;
  const TaskStatus is = record.status;
  if (was == TaskStatus::kScheduled && is == TaskStatus::kPending) {
    Step(model, record, false);
    BecomeReady(model, record);
    if (model.ready_at > now) Violation("nothing runs before its time", name, " is ready early");
    return;
  }
  if (was == TaskStatus::kScheduled && is == TaskStatus::kScheduled) {
    // One of several it waits for is done, or only its own time is still to come.
    Step(model, record, false);
    if (record.waits_for.empty()) BecomeReady(model, record);
    return;
  }
  Step(model, record, true);
  if (was == TaskStatus::kScheduled && is == TaskStatus::kExpired) {
    // It became ready by the end of what it waited for, and nobody came for it.
    BecomeReady(model, record);
    was = TaskStatus::kPending;
  } else if (was == TaskStatus::kScheduled && is == TaskStatus::kCancelled) {
    if (!model.doomed()) Violation("dependencies", name, " was cancelled without a cause");
    return End(model, is, now);
  }
  if (was == TaskStatus::kPending && is == TaskStatus::kExpired) {
    if (model.started || model.expires_at > now) {
      Violation("nothing expires before its time", name);
    }
    return End(model, is, now);
  }
  if (was != TaskStatus::kRunning) {
    return Violation("states", name, " went from ", Status(was), " to ", Status(is), " by time");
  }
  const bool lost = is == TaskStatus::kPending ||
                    (record.error && record.error->reason == task_state::kWorkerLost);
  if (!lost) {
    if (model.deadline_at > now) Violation("deadlines", name, " was ended before its deadline");
    return AttemptFailed(model, record, {{"", "", true}, absl::ZeroDuration(), {}, 0, false}, now);
  }
  ++counts_.lost_leases;
  auto session = sessions_.find(model.session_id);
  if (session != sessions_.end() && session->second.until > now) {
    Violation("a lease lasts as long as its session", name, " was taken from ",
              deps_.trace.Session(model.session_id));
  }
  ++model.lost_in_row;
  if ((model.lost_in_row >= kMaxLostInRow) != (is == TaskStatus::kFailed)) {
    Violation("lost workers cost no attempt up to a bound", name, " is ", Status(is), " after ",
              model.lost_in_row);
  }
  if (is == TaskStatus::kFailed) return End(model, is, now);
  if (record.attempt != model.attempt - 1) {
    Violation("lost workers cost no attempt up to a bound", name, " is at attempt ",
              record.attempt);
  }
  LeaveRunning(model);
  --model.attempt;
  model.status = is;
}

void Oracle::OnCleanup(const CleanupQuery& query, const absl::StatusOr<CleanupResult>& result,
                       absl::Time now) {
  if (!result.ok() || query.dry_run) return;
  deps_.trace.Add("store: cleanup of ", result->removed_count);
  const bool by_end = query.finished_before != absl::InfinitePast();
  for (auto& [id, model] : tasks_) {
    if (model.unfinished()) continue;
    const absl::Time over = by_end ? model.finished_at : model.finished_at + model.spec.result_ttl;
    if (over <= (by_end ? query.finished_before : now)) model.removable = true;
  }
}

void Oracle::OnPurge(const PurgeQuery& query, const absl::StatusOr<PurgeResult>& result,
                     absl::Time now) {
  if (!result.ok() || query.dry_run) return;
  deps_.trace.Add("store: purge of ", result->purged_count);
  const auto wanted = [&](const TaskModel& model) {
    return std::find(query.statuses.begin(), query.statuses.end(), model.status) !=
               query.statuses.end() &&
           (query.task_type == "*" || query.task_type == model.spec.task_type) &&
           (!query.tenant || *query.tenant == model.spec.tenant);
  };
  for (const TaskRecord& record : result->purged) {
    TaskModel* model = Known(record.task_id, "a purge");
    if (model == nullptr) return;
    ++counts_.purged;
    if (model->status == TaskStatus::kScheduled && model->waits_for.empty() &&
        record.ready_at != absl::InfiniteFuture()) {
      BecomeReady(*model, record);  // found ready since
      model->status = TaskStatus::kPending;
    }
    const bool due = model->status == TaskStatus::kPending && query.statuses[0] != model->status;
    if (model->status == TaskStatus::kRunning || (!wanted(*model) && !due)) {
      Violation("a purge takes what it names", Name(record.task_id), " was ",
                Status(model->status));
    }
    model->removable = true;
    if (record.status == TaskStatus::kFailed) continue;
    Step(*model, record, true);
    End(*model, TaskStatus::kCancelled, now);
  }
  for (auto& [id, model] : tasks_) {
    if (!model.unfinished() && wanted(model)) model.removable = true;
  }
}

void Oracle::OnPaused(std::string_view task_type, bool paused,
                      const absl::StatusOr<std::vector<std::string>>& result) {
  if (!result.ok()) return;
  deps_.trace.Add("store: ", paused ? "paused " : "resumed ", std::string(task_type));
  if (paused) {
    paused_.insert(std::string(task_type));
  } else if (task_type == "*") {
    paused_.clear();
  } else {
    paused_.erase(std::string(task_type));
  }
  if (std::set<std::string, std::less<>>(result->begin(), result->end()) != paused_) {
    Violation("pauses", "the paused types answered are others");
  }
}

}  // namespace slipstream::task_queue::simulation
