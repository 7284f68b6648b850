#include "services/task_queue/queue_figures.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "services/task_queue/task_state.h"

namespace slipstream::task_queue {

QueueFigures::Second& QueueFigures::At(absl::Time now) {
  const int64_t at = absl::ToUnixSeconds(now);
  Second& second = seconds_[static_cast<size_t>(at) % seconds_.size()];
  if (second.at != at) second = Second{.at = at};
  return second;
}

void QueueFigures::AddSample(Samples& samples, absl::Time now, absl::Duration value) {
  if (samples.size() >= kMaxSamplesCount) samples.pop_front();
  samples.emplace_back(now, absl::ToDoubleMilliseconds(value));
}

void QueueFigures::Submitted(const TaskRecord& task, absl::Time now) {
  series_.submitted.With({task.task_type}).Increment();
  sync::MutexLock lock(mu_);
  ++At(now).submitted;
}

void QueueFigures::Refused(std::string_view reason) { series_.refused.With({reason}).Increment(); }

void QueueFigures::Leased(const TaskRecord& task, absl::Time now) {
  const absl::Duration waited = std::max(now - task.ready_at, absl::ZeroDuration());
  series_.leased.With({task.task_type}).Increment();
  series_.wait_seconds.With({PriorityName(task.priority)}).Observe(absl::ToDoubleSeconds(waited));
  sync::MutexLock lock(mu_);
  Second& second = At(now);
  ++second.leased;
  if (task.attempt > 1) ++second.retried;
  AddSample(waits_, now, waited);
}

void QueueFigures::Ended(const TaskRecord& task, absl::Time now) {
  const bool final = task_state::IsFinal(task.status);
  if (final) {
    series_.finished.With({task.task_type, StatusName(task.status)}).Increment();
  } else if (task.status == TaskStatus::kScheduled) {
    series_.retried.With({task.task_type}).Increment();
  } else {
    return;  // handed back
  }
  const bool ran = task.started_at.has_value();
  const absl::Duration run = ran ? now - *task.started_at : absl::ZeroDuration();
  if (ran) series_.run_seconds.With({task.task_type}).Observe(absl::ToDoubleSeconds(run));
  sync::MutexLock lock(mu_);
  Second& second = At(now);
  if (final) ++second.finished;
  if (task.status == TaskStatus::kSucceeded) ++second.succeeded;
  if (ran) AddSample(runs_, now, run);
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

void QueueFigures::StaleRefused() {
  series_.stale_refused.Increment();
  sync::MutexLock lock(mu_);
  ++stale_refused_count_;
}

Distribution QueueFigures::Distribute(const Samples& samples, absl::Time since) {
  std::vector<double> values;
  for (const auto& [at, value] : samples) {
    if (at >= since) values.push_back(value);
  }
  Distribution out;
  out.count = static_cast<int64_t>(values.size());
  if (values.empty()) return out;
  std::sort(values.begin(), values.end());
  // The nearest rank: the smallest value that so large a part does not exceed.
  const auto rank = [&](double part) {
    const auto index = static_cast<size_t>(std::ceil(part * static_cast<double>(values.size())));
    return values[std::max<size_t>(index, 1) - 1];
  };
  out.p50_ms = rank(0.5);
  out.p95_ms = rank(0.95);
  out.p99_ms = rank(0.99);
  out.max_ms = values.back();
  return out;
}

Figures QueueFigures::Read(absl::Time now) const {
  sync::MutexLock lock(mu_);
  const absl::Time since = now - kFiguresWindow;
  Second sum;
  for (const Second& second : seconds_) {
    if (second.at <= absl::ToUnixSeconds(since)) continue;
    sum.submitted += second.submitted;
    sum.finished += second.finished;
    sum.succeeded += second.succeeded;
    sum.leased += second.leased;
    sum.retried += second.retried;
  }
  // A process younger than the window is measured over its own life.
  const double seconds =
      std::max(1.0, absl::ToDoubleSeconds(std::min(kFiguresWindow, now - started_at_)));
  Figures out;
  out.submitted_per_second = static_cast<double>(sum.submitted) / seconds;
  out.finished_per_second = static_cast<double>(sum.finished) / seconds;
  out.wait = Distribute(waits_, since);
  out.run = Distribute(runs_, since);
  if (sum.finished > 0) {
    out.success_ratio = static_cast<double>(sum.succeeded) / static_cast<double>(sum.finished);
  }
  if (sum.leased > 0) {
    out.retry_ratio = static_cast<double>(sum.retried) / static_cast<double>(sum.leased);
  }
  for (const auto& [key, group] : failures_) out.failures.push_back(group);
  std::sort(out.failures.begin(), out.failures.end(), [](const auto& a, const auto& b) {
    return std::tie(b.count, a.task_type, a.reason) < std::tie(a.count, b.task_type, b.reason);
  });
  out.stale_refused_count = stale_refused_count_;
  return out;
}

}  // namespace slipstream::task_queue
