#include "services/task_queue/worker_sessions.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::task_queue {

namespace {

constexpr size_t kMaxWorkerNameBytes = 128;
constexpr size_t kMaxTypesCount = 100;

absl::Status SessionNotFound() {
  return status::Error(absl::StatusCode::kNotFound, kSessionNotFound,
                       "the worker session has ended; reconnect for a new one");
}

}  // namespace

absl::Status WorkerSessions::CheckHello(const Hello& hello) const {
  if (hello.worker_name.empty() || hello.worker_name.size() > kMaxWorkerNameBytes) {
    return status::FieldError("hello.worker_name", "must have 1-128 bytes");
  }
  if (hello.task_types.empty() || hello.task_types.size() > kMaxTypesCount) {
    return status::FieldError("hello.task_types", "must be 1-100");
  }
  if (hello.slots < 1 || hello.slots > kMaxSlotsCount) {
    return status::FieldError("hello.slots", "must be 1-10,000");
  }
  if (hello.held.size() > static_cast<size_t>(kMaxSlotsCount)) {
    return status::FieldError("hello.held_tasks", "may be at most 10,000");
  }
  sync::MutexLock lock(mu_);
  if (draining_ || static_cast<int>(sessions_.size()) >= kMaxSessionsCount) {
    return status::WithRetryAfter(
        status::Error(absl::StatusCode::kUnavailable, draining_ ? "DRAINING" : "TOO_MANY_WORKERS",
                      draining_ ? "this queue server is going away; connect to another"
                                : "too many workers are connected to this queue server"),
        absl::Seconds(1));
  }
  return absl::OkStatus();
}

Async<absl::StatusOr<Welcome>> WorkerSessions::Connect(Hello hello,
                                                       std::shared_ptr<WorkerSink> sink) {
  if (absl::Status checked = CheckHello(hello); !checked.ok()) co_return checked;
  if (absl::Status known = deps_.registry.Announce(hello.task_types); !known.ok()) co_return known;

  Welcome welcome;
  if (!hello.session_id.empty() && co_await Resume(hello, sink, welcome)) co_return welcome;

  // A new session holds nothing: whatever the worker still has runs elsewhere, or soon will.
  welcome.session_id = random::Uuid7(deps_.clock, deps_.random);
  for (const auto& [task_id, epoch] : hello.held) welcome.lost_task_ids.push_back(task_id);
  const absl::Time now = deps_.clock.Now();
  absl::Status opened =
      co_await deps_.store.OpenSession({welcome.session_id, now + times_.lease, hello.user});
  if (!opened.ok()) co_return opened;
  {
    sync::MutexLock lock(mu_);
    Session& session = sessions_[welcome.session_id];
    session.user = hello.user;
    session.worker_name = hello.worker_name;
    for (const auto& type : hello.task_types) session.task_types.push_back(type.name());
    session.slots = hello.slots;
    session.sink = std::move(sink);
    session.connected_at = session.last_heartbeat_at = now;
    session.until = now + times_.lease;
  }
  deps_.logger.Info(
      "worker connected",
      {{"worker", hello.worker_name}, {"session", welcome.session_id}, {"slots", hello.slots}});
  co_return welcome;
}

Async<bool> WorkerSessions::Resume(const Hello& hello, std::shared_ptr<WorkerSink> sink,
                                   Welcome& welcome) {
  const absl::Time now = deps_.clock.Now();
  {
    sync::MutexLock lock(mu_);
    auto it = sessions_.find(hello.session_id);
    if (it == sessions_.end() || it->second.user != hello.user) co_return false;
  }
  const SessionLease lease{hello.session_id, now + times_.lease, hello.user};
  const auto renewed = co_await deps_.store.RenewSessions({&lease, 1}, now);
  if (!renewed.ok() || !(*renewed)[0]) co_return false;

  std::shared_ptr<WorkerSink> replaced;
  std::vector<LeaseKey> undelivered;
  {
    sync::MutexLock lock(mu_);
    auto it = sessions_.find(hello.session_id);
    if (it == sessions_.end()) co_return false;
    Session& session = it->second;
    replaced = std::exchange(session.sink, std::move(sink));
    session.worker_name = hello.worker_name;
    session.task_types.clear();
    for (const auto& type : hello.task_types) session.task_types.push_back(type.name());
    session.slots = hello.slots;
    session.takes_no_more = false;
    session.connected_at = session.last_heartbeat_at = now;
    session.until = now + times_.lease;
    std::map<std::string, int64_t> worker_has(hello.held.begin(), hello.held.end());
    for (const auto& [task_id, epoch] : worker_has) {
      auto held = session.held.find(task_id);
      if (held == session.held.end() || held->second.epoch != epoch) {
        welcome.lost_task_ids.push_back(task_id);
      }
    }
    for (auto held = session.held.begin(); held != session.held.end();) {
      // Assigned on the old stream and never received: nobody works on it.
      const bool received = worker_has.contains(held->first);
      if (!received) undelivered.push_back({held->first, hello.session_id, held->second.epoch});
      held = received ? std::next(held) : session.held.erase(held);
    }
  }
  if (replaced != nullptr) replaced->Close();
  co_await HandBack(std::move(undelivered));
  welcome.session_id = hello.session_id;
  welcome.resumed = true;
  deps_.logger.Info("worker resumed its session",
                    {{"worker", hello.worker_name}, {"session", hello.session_id}});
  co_return true;
}

Async<void> WorkerSessions::Disconnect(std::string session_id, const WorkerSink* sink) {
  const absl::Time now = deps_.clock.Now();
  {
    sync::MutexLock lock(mu_);
    auto it = sessions_.find(session_id);
    if (it == sessions_.end() || it->second.sink.get() != sink) co_return;
    it->second.sink.reset();
    it->second.until = now + times_.grace;
  }
  // The lease is cut to the grace time, so that its tasks run elsewhere soon.
  const SessionLease grace{session_id, now + times_.grace, ""};
  const auto renewed = co_await deps_.store.RenewSessions({&grace, 1}, now);
  deps_.logger.Info("worker disconnected", {{"session", session_id}, {"store", renewed.status()}});
}

Async<absl::Status> WorkerSessions::Heartbeat(std::string session_id) {
  const absl::Time now = deps_.clock.Now();
  const SessionLease lease{session_id, now + times_.lease, ""};
  const auto renewed = co_await deps_.store.RenewSessions({&lease, 1}, now);
  if (!renewed.ok()) co_return renewed.status();
  if (!(*renewed)[0]) co_return SessionNotFound();
  sync::MutexLock lock(mu_);
  auto it = sessions_.find(session_id);
  if (it == sessions_.end() || it->second.sink == nullptr) co_return SessionNotFound();
  it->second.last_heartbeat_at = now;
  it->second.until = now + times_.lease;
  co_return absl::OkStatus();
}

void WorkerSessions::SetFreeSlots(const std::string& session_id, int free_slots) {
  {
    sync::MutexLock lock(mu_);
    auto it = sessions_.find(session_id);
    if (it == sessions_.end()) return;
    it->second.slots =
        static_cast<int>(it->second.held.size()) + std::clamp(free_slots, 0, kMaxSlotsCount);
    it->second.takes_no_more = free_slots <= 0;
  }
  deps_.signals.work().Notify();
}

// --- giving out work

Async<int> WorkerSessions::Dispatch() {
  std::vector<std::string> order;
  {
    sync::MutexLock lock(mu_);
    if (draining_) co_return 0;
    // Another session begins each time, so that a single task does not always go to the same one.
    auto first = sessions_.lower_bound(next_session_);
    for (auto it = first; it != sessions_.end(); ++it) order.push_back(it->first);
    for (auto it = sessions_.begin(); it != first; ++it) order.push_back(it->first);
    next_session_ = order.size() > 1 ? order[1] : "";
  }
  int total = 0;
  int given;
  do {  // ends: each round fills slots or takes from the waiting
    given = 0;
    for (const std::string& session_id : order) given += co_await DispatchTo(session_id);
    total += given;
  } while (given > 0);
  co_return total;
}

Async<int> WorkerSessions::DispatchTo(std::string session_id) {
  std::vector<LeaseType> task_types;
  int max = 0;
  {
    sync::MutexLock lock(mu_);
    auto it = sessions_.find(session_id);
    if (it == sessions_.end() || it->second.sink == nullptr || draining_) co_return 0;
    Session& session = it->second;
    if (session.free() == 0) co_return 0;
    // Half of what is free, so that equal workers share a burst.
    max = std::clamp(session.free() / 2, 1, kMaxLeaseBatchCount);
    for (const std::string& name : session.task_types) task_types.push_back({name});
    session.leasing = true;
  }
  const absl::Time now = deps_.clock.Now();
  auto leased = co_await deps_.store.LeaseBatch(session_id, task_types, max, now);

  std::shared_ptr<WorkerSink> sink;
  std::vector<TaskRecord> tasks;
  std::vector<LeaseKey> orphans;
  {
    sync::MutexLock lock(mu_);
    auto it = sessions_.find(session_id);
    if (it != sessions_.end()) {
      it->second.leasing = false;
      sink = it->second.sink;
    }
    for (TaskRecord& task : leased.ok() ? *leased : std::vector<TaskRecord>()) {
      const std::pair key(task.task_id, task.lease_epoch);
      if (it != sessions_.end() && it->second.ended_while_leasing.contains(key)) continue;
      if (sink == nullptr) {
        orphans.push_back({task.task_id, session_id, task.lease_epoch});
        continue;
      }
      it->second.held[task.task_id] = Held{.epoch = task.lease_epoch};
      tasks.push_back(std::move(task));
    }
    if (it != sessions_.end()) it->second.ended_while_leasing.clear();
  }
  // The stream broke while the store was asked: nobody has these, so no grace is needed.
  co_await HandBack(std::move(orphans));
  if (tasks.empty()) co_return 0;
  for (const TaskRecord& task : tasks) {
    deps_.figures.Leased(task, now);
    deps_.signals.Changed(task.task_id);
  }
  const bool sent = sink->Assign(tasks);
  std::vector<std::pair<LeaseKey, std::string>> cancelled;
  std::vector<LeaseKey> undelivered;
  {
    sync::MutexLock lock(mu_);
    auto it = sessions_.find(session_id);
    // A stream that takes nothing is as good as gone: no more is tried on it.
    if (!sent && it != sessions_.end()) it->second.slots = 0;
    for (const TaskRecord& task : tasks) {
      LeaseKey lease{task.task_id, session_id, task.lease_epoch};
      if (!sent) undelivered.push_back(lease);
      if (it == sessions_.end()) continue;
      auto held = it->second.held.find(task.task_id);
      if (held == it->second.held.end()) continue;
      held->second.assigned = true;
      if (!held->second.cancel_reason.empty()) {
        cancelled.emplace_back(lease, held->second.cancel_reason);
      }
      if (!sent || !held->second.cancel_reason.empty()) it->second.held.erase(held);
    }
  }
  for (const auto& [lease, reason] : cancelled) sink->Cancel(lease, reason);
  if (!sent) sink->Close();
  co_await HandBack(std::move(undelivered));
  co_return sent ? static_cast<int>(tasks.size()) : 0;
}

Async<void> WorkerSessions::HandBack(std::vector<LeaseKey> leases) {
  if (leases.empty()) co_return;
  const auto released = co_await deps_.store.ReleaseBatch(leases, deps_.clock.Now());
  // When the store is away the session's end frees them.
  if (released.ok()) {
    for (const LeaseKey& lease : leases) deps_.signals.Changed(lease.task_id);
  }
  deps_.signals.work().Notify();
}

// --- reports

Async<std::vector<absl::Status>> WorkerSessions::Report(std::string session_id,
                                                        std::vector<WorkerReport> reports) {
  // Runs of one kind go to the store together; the order over all of them stays.
  std::vector<absl::Status> results;
  const auto kind = [](const WorkerReport& report) {
    return report.what.index() == 2 ? size_t{1} : report.what.index();  // a failure is an outcome
  };
  for (size_t begin = 0; begin < reports.size();) {
    size_t end = begin + 1;
    while (end < reports.size() && kind(reports[end]) == kind(reports[begin])) ++end;
    const std::span run(reports.data() + begin, end - begin);
    for (absl::Status& status : co_await ReportRun(session_id, run)) {
      results.push_back(std::move(status));
    }
    begin = end;
  }
  deps_.signals.work().Notify();
  co_return results;
}

Async<std::vector<absl::Status>> WorkerSessions::ReportRun(const std::string& session_id,
                                                           std::span<WorkerReport> run) {
  const absl::Time now = deps_.clock.Now();
  absl::StatusOr<std::vector<Reported>> reported;
  if (std::holds_alternative<ReportedProgress>(run[0].what)) {
    std::vector<ProgressRequest> requests;
    for (const WorkerReport& report : run) {
      const auto& progress = std::get<ReportedProgress>(report.what);
      requests.push_back(
          {{report.task_id, session_id, report.epoch}, progress.percent, progress.message});
    }
    reported = co_await deps_.store.ProgressBatch(requests, now);
  } else if (std::holds_alternative<ReportedRelease>(run[0].what)) {
    std::vector<LeaseKey> leases;
    for (const WorkerReport& report : run) {
      leases.push_back({report.task_id, session_id, report.epoch});
    }
    reported = co_await deps_.store.ReleaseBatch(leases, now);
  } else {
    std::vector<FinishRequest> requests;
    for (WorkerReport& report : run) {
      FinishRequest& request = requests.emplace_back();
      request.lease = {report.task_id, session_id, report.epoch};
      if (auto* success = std::get_if<task_state::Success>(&report.what)) {
        request.outcome = std::move(*success);
      } else {
        auto failure = std::get<task_state::Failure>(std::move(report.what));
        failure.jitter = deps_.random.NextDouble();
        report.what = failure;
        request.outcome = std::move(failure);
      }
    }
    reported = co_await deps_.store.FinishBatch(requests, now);
  }
  std::vector<absl::Status> statuses;
  for (size_t i = 0; i < run.size(); ++i) {
    if (!reported.ok()) {
      statuses.push_back(reported.status());
      continue;
    }
    Settle(session_id, run[i], (*reported)[i]);
    statuses.push_back((*reported)[i].status);
  }
  co_return statuses;
}

void WorkerSessions::Settle(const std::string& session_id, const WorkerReport& report,
                            const Reported& result) {
  const bool progress = std::holds_alternative<ReportedProgress>(report.what);
  if (!result.status.ok()) deps_.figures.StaleRefused();
  if (result.status.ok() && !result.repeated) {
    if (!progress) deps_.figures.Ended(result.task, deps_.clock.Now());
    deps_.signals.Changed(report.task_id);
  }
  if (progress && result.status.ok()) return;
  // Ended, or never held: either way the worker is done with it, and its slot is free.
  sync::MutexLock lock(mu_);
  auto it = sessions_.find(session_id);
  if (it == sessions_.end()) return;
  auto held = it->second.held.find(report.task_id);
  if (held != it->second.held.end() && held->second.epoch == report.epoch) {
    it->second.held.erase(held);
  }
}

// --- ends

void WorkerSessions::EndLease(const LeaseKey& lease, std::string_view reason) {
  std::shared_ptr<WorkerSink> sink;
  {
    sync::MutexLock lock(mu_);
    auto it = sessions_.find(lease.session_id);
    if (it == sessions_.end()) return;
    Session& session = it->second;
    auto held = session.held.find(lease.task_id);
    if (held == session.held.end() || held->second.epoch != lease.epoch) {
      if (session.leasing) session.ended_while_leasing.insert({lease.task_id, lease.epoch});
      return;
    }
    if (!held->second.assigned) {
      held->second.cancel_reason = std::string(reason);  // sent right after its assignment
      return;
    }
    session.held.erase(held);
    sink = session.sink;
  }
  if (sink != nullptr) sink->Cancel(lease, reason);
  deps_.signals.work().Notify();
}

void WorkerSessions::ExpireSessions() {
  const absl::Time now = deps_.clock.Now();
  std::vector<std::shared_ptr<WorkerSink>> silent;
  {
    sync::MutexLock lock(mu_);
    for (auto it = sessions_.begin(); it != sessions_.end();) {
      if (it->second.until > now) {
        ++it;
        continue;
      }
      if (it->second.sink != nullptr) silent.push_back(it->second.sink);
      deps_.logger.Warning("worker session ended; its tasks go to others",
                           {{"session", it->first},
                            {"worker", it->second.worker_name},
                            {"tasks", it->second.held.size()},
                            {"cause", it->second.sink ? "no heartbeat" : "stream broken"}});
      it = sessions_.erase(it);
    }
  }
  for (const auto& sink : silent) sink->Close();
}

void WorkerSessions::BeginDrain(absl::Duration grace) {
  std::vector<std::shared_ptr<WorkerSink>> sinks;
  {
    sync::MutexLock lock(mu_);
    draining_ = true;
    for (auto& [id, session] : sessions_) {
      if (session.sink != nullptr) sinks.push_back(session.sink);
    }
  }
  for (const auto& sink : sinks) sink->Drain(grace);
}

void WorkerSessions::CloseAll() {
  std::vector<std::shared_ptr<WorkerSink>> sinks;
  {
    sync::MutexLock lock(mu_);
    for (auto& [id, session] : sessions_) {
      if (session.sink != nullptr) sinks.push_back(session.sink);
    }
  }
  for (const auto& sink : sinks) sink->Close();
}

// --- reads

std::vector<SessionInfo> WorkerSessions::Infos() const {
  sync::MutexLock lock(mu_);
  std::vector<SessionInfo> infos;
  for (const auto& [id, session] : sessions_) {
    if (session.sink == nullptr) continue;
    SessionInfo& info = infos.emplace_back();
    info.session_id = id;
    info.worker_name = session.worker_name;
    info.task_types = session.task_types;
    info.slots = session.slots;
    for (const auto& [task_id, held] : session.held) info.task_ids.push_back(task_id);
    info.connected_at = session.connected_at;
    info.last_heartbeat_at = session.last_heartbeat_at;
    info.draining = session.takes_no_more || draining_;
  }
  return infos;
}

int WorkerSessions::WorkerCount(const std::string& task_type) const {
  sync::MutexLock lock(mu_);
  return static_cast<int>(std::count_if(sessions_.begin(), sessions_.end(), [&](const auto& s) {
    const auto& types = s.second.task_types;
    return s.second.sink != nullptr &&
           std::find(types.begin(), types.end(), task_type) != types.end();
  }));
}

int WorkerSessions::connected_count() const {
  sync::MutexLock lock(mu_);
  return static_cast<int>(std::count_if(sessions_.begin(), sessions_.end(),
                                        [](const auto& s) { return s.second.sink != nullptr; }));
}

int WorkerSessions::held_count() const {
  sync::MutexLock lock(mu_);
  int count = 0;
  for (const auto& [id, session] : sessions_) count += static_cast<int>(session.held.size());
  return count;
}

int WorkerSessions::free_count() const {
  sync::MutexLock lock(mu_);
  int count = 0;
  for (const auto& [id, session] : sessions_) {
    if (session.sink != nullptr) count += session.free();
  }
  return count;
}

}  // namespace slipstream::task_queue
