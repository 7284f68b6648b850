#include "services/task_queue/worker_sessions.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/shared_task_types.h"

namespace slipstream::task_queue {

namespace {

constexpr size_t kMaxWorkerNameBytes = 128;
constexpr size_t kMaxTypesCount = 100;
constexpr size_t kSessionIdBytes = 36;

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
  if (!hello.session_id.empty() && hello.session_id.size() != kSessionIdBytes) {
    return status::FieldError("hello.session_id",
                              "must be an id of 36 characters as the welcome "
                              "named it, or empty for a new session");
  }
  if (hello.held.size() > static_cast<size_t>(kMaxSlotsCount)) {
    return status::FieldError("hello.held_tasks", "may be at most 10,000");
  }
  return absl::OkStatus();
}

absl::Status WorkerSessions::CheckRoom() const {
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
  if (absl::Status room = CheckRoom(); !room.ok()) co_return room;
  if (absl::Status known = deps_.registry.Announce(hello.task_types); !known.ok()) co_return known;
  if (deps_.shared_types != nullptr) {
    absl::Status saved = co_await deps_.shared_types->Save(hello.task_types);
    if (!saved.ok()) co_return saved;
  }
  WarnOfSensitive(hello);
  Welcome welcome;
  if (!hello.session_id.empty()) {
    const auto resumed = co_await Resume(hello, sink, welcome);
    if (!resumed.ok()) co_return resumed.status();
    if (*resumed) co_return welcome;
  }
  // A new session holds nothing: whatever the worker still has runs elsewhere, or soon will.
  welcome.session_id = random::Uuid7(deps_.clock, deps_.random);
  for (const auto& [task_id, epoch] : hello.held) welcome.lost_task_ids.push_back(task_id);
  const absl::Time now = deps_.clock.Now();
  absl::Status opened =
      co_await deps_.store.OpenSession({welcome.session_id, now + times_.lease, hello.user}, now);
  if (!opened.ok()) co_return opened;
  {
    sync::MutexLock lock(mu_);
    TakeStream(hello, std::move(sink), now, sessions_[welcome.session_id]);
  }
  deps_.logger.Info(
      "worker connected",
      {{"worker", hello.worker_name}, {"session", welcome.session_id}, {"slots", hello.slots}});
  co_return welcome;
}

void WorkerSessions::WarnOfSensitive(const Hello& hello) const {
  if (deps_.args != nullptr) return;
  for (const v1::TaskType& type : hello.task_types) {
    const auto known = deps_.registry.Find(type.name());
    if (!known.ok() || !(*known)->sensitive) continue;
    deps_.logger.Warning("this type's tasks are refused: task_queue.sensitive_args_key is not set",
                         {{"task_type", type.name()}, {"worker", hello.worker_name}});
  }
}

void WorkerSessions::TakeStream(const Hello& hello, std::shared_ptr<WorkerSink> sink,
                                absl::Time now, Session& session) {
  session.user = hello.user;
  session.worker_name = hello.worker_name;
  session.task_types.clear();
  for (const auto& type : hello.task_types) session.task_types.push_back(type.name());
  session.lease_types = nullptr;
  session.slots = hello.slots;
  session.takes_no_more = false;
  session.sink = std::move(sink);
  ++session.stream_number;
  session.connected_at = session.last_heartbeat_at = now;
  session.until = now + times_.lease;
}

Async<absl::StatusOr<bool>> WorkerSessions::Resume(const Hello& hello,
                                                   std::shared_ptr<WorkerSink> sink,
                                                   Welcome& welcome) {
  const absl::Time now = deps_.clock.Now();
  // The store knows best: the worker may have been at another server since.
  auto stored = co_await deps_.store.FindSession(hello.session_id, now);
  if (absl::IsNotFound(stored.status())) co_return false;
  if (!stored.ok()) co_return stored.status();
  if (stored->user != hello.user) co_return false;
  const SessionLease lease{hello.session_id, now + times_.lease, hello.user};
  const auto renewed = co_await deps_.store.RenewSessions({&lease, 1}, now);
  if (!renewed.ok()) co_return renewed.status();
  if (!(*renewed)[0]) co_return false;

  std::shared_ptr<WorkerSink> replaced;
  std::vector<LeaseKey> undelivered;
  {
    sync::MutexLock lock(mu_);
    Session& session = sessions_[hello.session_id];
    replaced = session.sink;
    TakeStream(hello, std::move(sink), now, session);
    std::map<std::string, int64_t> worker_has(hello.held.begin(), hello.held.end());
    session.held.clear();
    for (const TaskRecord& task : stored->held) {
      auto named = worker_has.find(task.task_id);
      if (named != worker_has.end() && named->second == task.lease_epoch) {
        session.held[task.task_id] = {task.lease_epoch, true, ""};
        worker_has.erase(named);
      } else {
        // Assigned on the old stream and never received: nobody works on it.
        undelivered.push_back({task.task_id, hello.session_id, task.lease_epoch});
      }
    }
    for (const auto& [task_id, epoch] : worker_has) welcome.lost_task_ids.push_back(task_id);
  }
  if (replaced != nullptr) replaced->Close();
  co_await HandBack(std::move(undelivered));
  // A server that has not noticed that the worker left it may still lease to the session, until it
  // has heard nothing for the time of a lease.
  ReclaimLater(hello.session_id, times_.lease + times_.grace);
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
  // The store is away: the worker lives, which is all that it could tell. What has become of its
  // leases is seen when the store is back.
  if (!renewed.ok() && !absl::IsUnavailable(renewed.status())) co_return renewed.status();
  if (renewed.ok() && !(*renewed)[0]) co_return SessionNotFound();
  sync::MutexLock lock(mu_);
  auto it = sessions_.find(session_id);
  if (it == sessions_.end() || it->second.sink == nullptr) co_return SessionNotFound();
  it->second.last_heartbeat_at = now;
  it->second.until = now + times_.lease;
  co_return absl::OkStatus();
}

void WorkerSessions::KeepAlive(const std::string& session_id, absl::Time now) {
  sync::MutexLock lock(mu_);
  auto it = sessions_.find(session_id);
  if (it == sessions_.end() || it->second.sink == nullptr) return;
  it->second.until = std::max(it->second.until, now + times_.lease);
}

Async<absl::Status> WorkerSessions::Reopen() {
  const absl::Time now = deps_.clock.Now();
  std::vector<SessionLease> live;
  {
    sync::MutexLock lock(mu_);
    for (const auto& [id, session] : sessions_) {
      if (session.sink != nullptr) live.push_back({id, now + times_.lease, session.user});
    }
  }
  const auto renewed = co_await deps_.store.RenewSessions(live, now);
  if (!renewed.ok()) co_return renewed.status();
  int reopened = 0;
  for (size_t i = 0; i < live.size(); ++i) {
    if ((*renewed)[i]) continue;
    absl::Status opened = co_await deps_.store.OpenSession(live[i], now);
    if (!opened.ok()) co_return opened;
    ++reopened;
  }
  if (!live.empty()) {
    deps_.logger.Info("the store is back; worker sessions go on",
                      {{"sessions", live.size()}, {"reopened", reopened}});
  }
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

// --- ends

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
    info.held_count = static_cast<int>(session.held.size());
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
