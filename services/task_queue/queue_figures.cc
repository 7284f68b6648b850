#include "services/task_queue/queue_figures.h"

#include <algorithm>
#include <tuple>

#include "services/task_queue/task_state.h"

namespace slipstream::task_queue {

namespace {

int64_t SlotOf(absl::Time now) {
  return absl::ToUnixSeconds(now) / absl::ToInt64Seconds(kFiguresSlot);
}

// Handles of a family by label, looked up once a batch and not once a task: a look-up takes a lock.
template <class Handle>
class Handles {
 public:
  template <class Family, class... Labels>
  const Handle& Of(const Family& family, Labels... labels) {
    const std::array<std::string_view, sizeof...(Labels)> key = {labels...};
    for (const auto& [known, handle] : known_) {
      if (std::equal(known.begin(), known.end(), key.begin(), key.end())) return handle;
    }
    known_.emplace_back(std::vector<std::string_view>(key.begin(), key.end()),
                        family.With(std::span<const std::string_view>(key)));
    return known_.back().second;
  }

 private:
  std::vector<std::pair<std::vector<std::string_view>, Handle>> known_;
};

bool EndedAttempt(const TaskRecord& task) {
  return task_state::IsFinal(task.status) ||
         (task.status == TaskStatus::kScheduled && task.next_run_at.has_value());
}

absl::Duration RunOf(const TaskRecord& task, absl::Time now) {
  return std::max(now - *task.started_at, absl::ZeroDuration());
}

}  // namespace

// --- sums

void FiguresSum::Add(const FailureGroup& group) {
  std::pair key(group.task_type, group.reason);
  auto it = failures.find(key);
  if (it == failures.end()) {
    if (failures.size() < kMaxFailureGroupsCount) failures.emplace(std::move(key), group);
    return;
  }
  FailureGroup& sum = it->second;
  sum.count += group.count;
  sum.first_at = std::min(sum.first_at, group.first_at);
  if (group.last_at >= sum.last_at) {
    sum.last_at = group.last_at;
    sum.example_task_id = group.example_task_id;
  }
}

void FiguresSum::Add(const FiguresSum& other) {
  submitted_per_second += other.submitted_per_second;
  finished_per_second += other.finished_per_second;
  finished += other.finished;
  succeeded += other.succeeded;
  leased += other.leased;
  retried += other.retried;
  waits.Add(other.waits);
  runs.Add(other.runs);
  stale_refused_count += other.stale_refused_count;
  for (const auto& [key, group] : other.failures) Add(group);
}

Figures FiguresSum::Read() const {
  const auto ratio = [](int64_t part, int64_t all) {
    return all == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(all);
  };
  Figures out;
  out.submitted_per_second = submitted_per_second;
  out.finished_per_second = finished_per_second;
  out.wait = waits.Read();
  out.run = runs.Read();
  out.success_ratio = ratio(succeeded, finished);
  out.retry_ratio = ratio(retried, leased);
  out.stale_refused_count = stale_refused_count;
  for (const auto& [key, group] : failures) out.failures.push_back(group);
  std::sort(out.failures.begin(), out.failures.end(), [](const auto& a, const auto& b) {
    return std::tie(b.count, a.task_type, a.reason) < std::tie(a.count, b.task_type, b.reason);
  });
  return out;
}

// --- this server's

QueueFigures::Slot& QueueFigures::At(absl::Time now) {
  const int64_t at = SlotOf(now);
  Slot& slot = slots_[static_cast<size_t>(at) % slots_.size()];
  if (slot.at != at) slot = Slot{.at = at};
  return slot;
}

void QueueFigures::Submitted(std::string_view task_type, int64_t count, absl::Time now) {
  series_.submitted.With({task_type}).Increment(static_cast<uint64_t>(count));
  sync::MutexLock lock(mu_);
  At(now).submitted += count;
}

void QueueFigures::Refused(std::string_view reason) { series_.refused.With({reason}).Increment(); }

void QueueFigures::Leased(std::span<const TaskRecord> tasks, absl::Time now) {
  if (tasks.empty()) return;
  Handles<metrics::Counter> leased;
  Handles<metrics::Histogram> wait;
  const auto waited = [now](const TaskRecord& task) {
    return std::max(now - task.ready_at, absl::ZeroDuration());
  };
  for (const TaskRecord& task : tasks) {
    leased.Of(series_.leased, std::string_view(task.task_type)).Increment();
    wait.Of(series_.wait_seconds, PriorityName(task.priority))
        .Observe(absl::ToDoubleSeconds(waited(task)));
  }
  sync::MutexLock lock(mu_);
  Slot& slot = At(now);
  slot.leased += static_cast<int64_t>(tasks.size());
  for (const TaskRecord& task : tasks) {
    if (task.attempt > 1) ++slot.retried;
    slot.waits.Add(waited(task));
  }
}

void QueueFigures::Ended(std::span<const TaskRecord> tasks, absl::Time now) {
  if (tasks.empty()) return;
  Handles<metrics::Counter> finished, retried;
  Handles<metrics::Histogram> run;
  for (const TaskRecord& task : tasks) {
    if (!EndedAttempt(task)) continue;
    const std::string_view type = task.task_type;
    if (task_state::IsFinal(task.status)) {
      finished.Of(series_.finished, type, StatusName(task.status)).Increment();
    } else {
      retried.Of(series_.retried, type).Increment();
    }
    if (task.started_at) {
      run.Of(series_.run_seconds, type).Observe(absl::ToDoubleSeconds(RunOf(task, now)));
    }
  }
  sync::MutexLock lock(mu_);
  Slot& slot = At(now);
  for (const TaskRecord& task : tasks) {
    if (!EndedAttempt(task)) continue;
    if (task_state::IsFinal(task.status)) ++slot.finished;
    if (task.status == TaskStatus::kSucceeded) ++slot.succeeded;
    if (task.started_at) slot.runs.Add(RunOf(task, now));
    NoteFailure(task, now);
  }
}

void QueueFigures::NoteFailure(const TaskRecord& task, absl::Time now) {
  const bool failed = task.status == TaskStatus::kFailed || task.status == TaskStatus::kScheduled;
  if (!failed || !task.error) return;
  const std::pair key(task.task_type, task.error->reason);
  if (failures_.size() >= kMaxFailureGroupsCount && !failures_.contains(key)) return;
  FailureGroup& group = failures_[key];
  if (group.count++ == 0) {
    group.task_type = key.first;
    group.reason = key.second;
    group.first_at = now;
  }
  group.last_at = now;
  group.example_task_id = task.task_id;
}

void QueueFigures::LeaseLost(std::string_view reason) {
  series_.lost_leases.With({reason}).Increment();
}

void QueueFigures::StaleRefused(int64_t count) {
  if (count == 0) return;
  series_.stale_refused.Increment(static_cast<uint64_t>(count));
  sync::MutexLock lock(mu_);
  stale_refused_count_ += count;
}

FiguresSum QueueFigures::Sum(absl::Time now) const {
  FiguresSum sum;
  int64_t submitted = 0;
  const int64_t oldest = SlotOf(now) - static_cast<int64_t>(kFiguresSlotsCount) + 1;
  sync::MutexLock lock(mu_);
  for (const Slot& slot : slots_) {
    if (slot.at < oldest) continue;
    submitted += slot.submitted;
    sum.finished += slot.finished;
    sum.succeeded += slot.succeeded;
    sum.leased += slot.leased;
    sum.retried += slot.retried;
    sum.waits.Add(slot.waits);
    sum.runs.Add(slot.runs);
  }
  // A process younger than the window is measured over its own life.
  const absl::Time since =
      std::max(started_at_, absl::FromUnixSeconds(oldest * absl::ToInt64Seconds(kFiguresSlot)));
  const double seconds = std::max(1.0, absl::ToDoubleSeconds(now - since));
  sum.submitted_per_second = static_cast<double>(submitted) / seconds;
  sum.finished_per_second = static_cast<double>(sum.finished) / seconds;
  sum.failures = failures_;
  sum.stale_refused_count = stale_refused_count_;
  return sum;
}

}  // namespace slipstream::task_queue
