// WorkerSessions: what workers report, and leases that end.
#include <algorithm>
#include <set>
#include <string_view>

#include "libs/status/status.h"
#include "services/task_queue/worker_sessions.h"

namespace slipstream::task_queue {

namespace {

constexpr size_t kRecheckBatchCount = 100;

enum class Kind { kProgress, kOutcome, kRelease };

Kind KindOf(const WorkerReport& report) {
  if (std::holds_alternative<ReportedProgress>(report.what)) return Kind::kProgress;
  return std::holds_alternative<ReportedRelease>(report.what) ? Kind::kRelease : Kind::kOutcome;
}

}  // namespace

Async<std::vector<absl::Status>> WorkerSessions::Report(std::string session_id,
                                                        std::span<const WorkerReport> reports) {
  // Runs of one kind go to the store together; the order over all of them stays.
  std::vector<absl::Status> results;
  results.reserve(reports.size());
  absl::Status away;
  std::set<std::string_view> away_ids;  // tasks of which something is not in: the rest waits too
  for (size_t begin = 0; begin < reports.size();) {
    size_t end = begin + 1;
    while (end < reports.size() && KindOf(reports[end]) == KindOf(reports[begin])) ++end;
    const std::span<const WorkerReport> run = reports.subspan(begin, end - begin);
    std::vector<WorkerReport> rest;
    for (size_t i = 0; !away_ids.empty() && i < run.size(); ++i) {
      if (!away_ids.contains(run[i].task_id)) rest.push_back(run[i]);
    }
    const std::span<const WorkerReport> asked = away_ids.empty() ? run : rest;
    std::vector<absl::Status> statuses;
    if (!asked.empty()) statuses = co_await ReportRun(session_id, asked);
    for (size_t i = 0, k = 0; i < run.size(); ++i) {
      const bool waits = asked.size() < run.size() && away_ids.contains(run[i].task_id);
      results.push_back(waits ? away : std::move(statuses[k++]));
    }
    for (size_t i = begin; i < end; ++i) {
      if (!absl::IsUnavailable(results[i])) continue;
      away = results[i];
      away_ids.insert(reports[i].task_id);
    }
    if (!away.ok() && !deps_.store.has_part_here()) {
      results.resize(reports.size(), away);
      break;
    }
    begin = end;
  }
  if (!away.ok()) KeepAlive(session_id, deps_.clock.Now());
  deps_.signals.work().Notify();
  co_return results;
}

Async<absl::StatusOr<std::vector<Reported>>> WorkerSessions::Store(
    const std::string& session_id, std::span<const WorkerReport> run, absl::Time now) {
  if (KindOf(run[0]) == Kind::kProgress) {
    std::vector<ProgressRequest> requests;
    requests.reserve(run.size());
    for (const WorkerReport& report : run) {
      const auto& progress = std::get<ReportedProgress>(report.what);
      requests.push_back(
          {{report.task_id, session_id, report.epoch}, progress.percent, progress.message});
    }
    co_return co_await deps_.store.ProgressBatch(requests, now);
  }
  if (KindOf(run[0]) == Kind::kRelease) {
    std::vector<LeaseKey> leases;
    for (const WorkerReport& report : run) {
      leases.push_back({report.task_id, session_id, report.epoch});
    }
    co_return co_await deps_.store.ReleaseBatch(leases, now);
  }
  std::vector<FinishRequest> requests;
  requests.reserve(run.size());
  for (const WorkerReport& report : run) {
    FinishRequest& request = requests.emplace_back();
    request.lease = {report.task_id, session_id, report.epoch};
    if (const auto* success = std::get_if<task_state::Success>(&report.what)) {
      request.outcome = *success;
    } else {
      auto failure = std::get<task_state::Failure>(report.what);
      failure.jitter = deps_.random.NextDouble();
      request.outcome = std::move(failure);
    }
  }
  co_return co_await deps_.store.FinishBatch(requests, now);
}

Async<std::vector<absl::Status>> WorkerSessions::ReportRun(const std::string& session_id,
                                                           std::span<const WorkerReport> run) {
  const absl::Time now = deps_.clock.Now();
  auto reported = co_await Store(session_id, run, now);
  if (!reported.ok()) co_return std::vector<absl::Status>(run.size(), reported.status());
  std::vector<absl::Status> statuses;
  statuses.reserve(run.size());
  for (const Reported& result : *reported) statuses.push_back(result.status);
  std::vector<LeaseKey> unsure = Settle(session_id, run, *reported, now);
  if (!unsure.empty()) co_await HandBack(std::move(unsure));
  co_return statuses;
}

std::vector<LeaseKey> WorkerSessions::Settle(const std::string& session_id,
                                             std::span<const WorkerReport> run,
                                             std::vector<Reported>& results, absl::Time now) {
  const bool progress = KindOf(run[0]) == Kind::kProgress;
  int64_t stale = 0;
  std::vector<LeaseKey> unsure;
  std::vector<TaskRecord> changed;
  changed.reserve(run.size());
  {
    sync::MutexLock lock(mu_);
    auto it = sessions_.find(session_id);
    for (size_t i = 0; i < run.size(); ++i) {
      Reported& result = results[i];
      if (absl::IsUnavailable(result.status)) continue;  // it will come again
      if (!result.status.ok()) ++stale;
      if (result.status.ok() && !result.repeated) changed.push_back(std::move(result.task));
      if (it == sessions_.end() || (progress && result.status.ok())) continue;
      // Ended, or never held: either way the worker is done with it, and its slot is free.
      auto held = it->second.held.find(run[i].task_id);
      if (held != it->second.held.end() && held->second.epoch == run[i].epoch) {
        it->second.held.erase(held);
        if (!result.status.ok()) unsure.push_back({run[i].task_id, session_id, run[i].epoch});
      }
    }
  }
  deps_.figures.StaleRefused(stale);
  if (!progress) deps_.figures.Ended(changed, now);
  deps_.signals.Changed(changed);
  return unsure;
}

bool WorkerSessions::EndLease(const LeaseKey& lease, std::string_view reason) {
  std::shared_ptr<WorkerSink> sink;
  {
    sync::MutexLock lock(mu_);
    auto it = sessions_.find(lease.session_id);
    if (it == sessions_.end()) return false;
    Session& session = it->second;
    const bool here = session.sink != nullptr;
    auto held = session.held.find(lease.task_id);
    if (held == session.held.end() || held->second.epoch != lease.epoch) {
      if (session.leasing) session.ended_while_leasing.insert({lease.task_id, lease.epoch});
      return here;
    }
    if (!held->second.assigned) {
      held->second.cancel_reason = std::string(reason);  // sent right after its assignment
      return here;
    }
    session.held.erase(held);
    sink = session.sink;
  }
  if (sink != nullptr) sink->Cancel(lease, reason);
  deps_.signals.work().Notify();
  return sink != nullptr;
}

Async<absl::Status> WorkerSessions::Recheck() {
  std::vector<LeaseKey> held;
  {
    sync::MutexLock lock(mu_);
    for (const auto& [session_id, session] : sessions_) {
      for (const auto& [task_id, lease] : session.held) {
        held.push_back({task_id, session_id, lease.epoch});
      }
    }
  }
  for (size_t begin = 0; begin < held.size(); begin += kRecheckBatchCount) {
    const size_t end = std::min(held.size(), begin + kRecheckBatchCount);
    std::vector<std::string> ids;
    for (size_t i = begin; i < end; ++i) ids.push_back(held[i].task_id);
    const auto tasks = co_await deps_.store.BulkGet(ids);
    if (!tasks.ok()) co_return tasks.status();
    for (size_t i = begin; i < end; ++i) {
      const std::optional<TaskRecord>& task = (*tasks)[i - begin];
      if (task && task_state::CheckLease(*task, held[i].session_id, held[i].epoch).ok()) continue;
      const bool cancelled = task && task->status == TaskStatus::kCancelled;
      EndLease(held[i], cancelled ? task_state::kCancelled : task_state::kStaleLease);
    }
  }
  co_return absl::OkStatus();
}

}  // namespace slipstream::task_queue
