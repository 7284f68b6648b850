// Looks: what the store says now against the account, its figures, and the events told.
#include <algorithm>

#include "services/task_queue/simulation/oracle.h"

namespace slipstream::task_queue::simulation {

namespace {

std::string Status(TaskStatus status) { return std::string(StatusName(status)); }

}  // namespace

bool Oracle::Overdue(absl::Time due) const {
  const absl::Duration slack = kSlackTicks * deps_.settings.tick_period + skew();
  const absl::Time now = deps_.scheduler.now();
  return now > due + slack && now > deps_.faults.calm_since() + slack;
}

void Oracle::CheckOverdue(const TaskModel& model) {
  const std::string& name = Name(model.spec.task_id);
  if (model.status == TaskStatus::kRunning) {
    auto session = sessions_.find(model.session_id);
    const absl::Time until =
        session == sessions_.end() ? absl::InfinitePast() : session->second.until;
    if (Overdue(until)) {
      Violation("a lost worker's tasks go back in time", name, " still runs in ",
                deps_.trace.Session(model.session_id), ", which ended long ago");
    }
    if (session != sessions_.end() && Overdue(session->second.grace_until)) {
      Violation("a lost worker's tasks go back in time", name, " still runs in ",
                deps_.trace.Session(model.session_id), ", whose stream broke long ago");
    }
    if (Overdue(model.deadline_at)) Violation("deadlines", name, " runs beyond its deadline");
  }
  if (model.status == TaskStatus::kScheduled && Overdue(model.doomed_at)) {
    Violation("dependencies", name, " is not yet CANCELLED");
  }
  if (model.status == TaskStatus::kScheduled && model.waits_for.empty() &&
      Overdue(model.ready_at)) {
    Violation("what is due becomes ready", name, " is still SCHEDULED");
  }
  if (model.status == TaskStatus::kPending && !model.started && Overdue(model.expires_at)) {
    Violation("what has expired ends", name, " is still PENDING");
  }
}

void Oracle::Audit(const std::vector<std::string>& ids,
                   const std::vector<std::optional<TaskRecord>>& records, const StoreStats& stats) {
  for (size_t i = 0; i < ids.size(); ++i) {
    TaskModel& model = tasks_.find(ids[i])->second;
    const std::string& name = Name(ids[i]);
    if (!records[i]) {
      if (model.unfinished() || !MayBeGone(model)) {
        Violation("nothing acknowledged is lost", name, " is gone; it was ", Status(model.status));
      }
      model.gone = true;
      continue;
    }
    const TaskRecord& record = *records[i];
    if (model.status == TaskStatus::kScheduled && record.status == TaskStatus::kPending) {
      BecomeReady(model, record);  // by the end of what it waited for, which says nothing of it
    }
    if (record.status != model.status) {
      Violation("states", name, " is ", Status(record.status), ", not ", Status(model.status));
    }
    if (record.lease_epoch != model.epoch || record.attempt != model.attempt ||
        record.session_id != model.session_id) {
      Violation("one lease, one holder", name, " is held with epoch ", record.lease_epoch,
                " attempt ", record.attempt, ", not ", model.epoch, " and ", model.attempt);
    }
    if (model.status == TaskStatus::kSucceeded &&
        (record.result == nullptr || *record.result != model.result)) {
      Violation("the result is the accepted one", name);
    }
    CheckOverdue(model);
  }
  CheckStats(stats, records);
}

void Oracle::CheckStats(const StoreStats& stats,
                        const std::vector<std::optional<TaskRecord>>& records) {
  std::array<int64_t, kTaskStatusCount> by_status{};
  std::map<std::pair<std::string, TaskPriority>, std::pair<int64_t, int64_t>> depths;
  for (const auto& record : records) {
    if (!record) continue;
    ++by_status[static_cast<size_t>(record->status)];
    auto depth = std::pair(record->task_type, record->priority);
    if (record->status == TaskStatus::kPending) ++depths[depth].first;
    if (record->status == TaskStatus::kScheduled) ++depths[depth].second;
  }
  for (size_t i = 1; i < by_status.size(); ++i) {
    if (by_status[i] != stats.by_status[i]) {
      Violation("statistics", "there are ", by_status[i], " ", Status(static_cast<TaskStatus>(i)),
                ", counted are ", stats.by_status[i]);
    }
  }
  for (const StoreStats::Depth& depth : stats.depths) {
    const auto counted = std::pair(depth.pending_count, depth.scheduled_count);
    const auto key = std::pair(depth.task_type, depth.priority);
    auto it = depths.find(key);
    const auto there = it == depths.end() ? std::pair<int64_t, int64_t>() : it->second;
    if (it != depths.end()) depths.erase(it);
    if (counted != there) {
      Violation("statistics", "of ", depth.task_type, " wait ", there.first, " and ", there.second,
                ", counted are ", counted.first, " and ", counted.second);
    }
  }
  if (!depths.empty()) Violation("statistics", depths.begin()->first.first, " is not counted");
}

// --- events

void Oracle::OnEvent(const OutboxEntry& entry) {
  const std::string& name = Name(entry.task.task_id);
  ++counts_.events;
  const TaskModel* model = Known(entry.task.task_id, "an event");
  if (model == nullptr) return;
  EventModel& events = events_[entry.task.task_id];
  const int64_t version = entry.task.version;
  auto [known, fresh] = events.by_key.emplace(entry.idempotency_key, version);
  if (!fresh) {
    ++counts_.repeated_events;
    if (known->second != version) {
      Violation("an idempotency key names one event", name, " versions ", known->second, " and ",
                version);
    }
    return;
  }
  if (version <= events.last_version) {
    Violation("a task's events are told in order, once each", name, " version ", version, " after ",
              events.last_version);
  }
  events.last_version = version;
  events.arrived[version] = entry.task.status;
  auto owed = model->owed_events.find(version);
  if (owed != model->owed_events.end()) {
    if (owed->second != entry.task.status) {
      Violation("events say what happened", name, " version ", version, " was told as ",
                Status(entry.task.status));
    }
    return;
  }
  // Told without being owed: progress or a debounce.
  const TaskStatus status = entry.task.status;
  const bool waits = status == TaskStatus::kPending || status == TaskStatus::kScheduled;
  const bool progress = status == TaskStatus::kRunning && entry.type == "task_progress";
  if (!waits && !progress) {
    Violation("events say what happened", name, " version ", version, " never was ",
              Status(status));
  }
}

void Oracle::CheckEvents(const TaskModel& model) {
  const std::string& name = Name(model.spec.task_id);
  const EventModel& events = events_[model.spec.task_id];
  for (const auto& [version, status] : model.owed_events) {
    if (!events.arrived.contains(version)) {
      Violation("every change of state is told", name, " version ", version, ", ", Status(status));
    }
  }
}

void Oracle::AtEnd(const std::vector<std::string>& ids,
                   const std::vector<std::optional<TaskRecord>>& records, const StoreStats& stats) {
  Audit(ids, records, stats);
  for (const auto& record : records) {
    if (!record) continue;
    const TaskModel& model = tasks_.find(record->task_id)->second;
    if (record->status != model.status) {
      Violation("states", Name(record->task_id), " ended as ", Status(record->status));
    }
  }
  for (const auto& [id, model] : tasks_) {
    if (model.unfinished()) {
      Violation("every accepted task ends", Name(id), " is ", Status(model.status));
    }
    CheckEvents(model);
  }
  if (stats.outbox_count != 0) {
    Violation("every change of state is told", stats.outbox_count, " events are still kept");
  }
}

}  // namespace slipstream::task_queue::simulation
