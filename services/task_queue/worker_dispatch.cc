// WorkerSessions: giving out work.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/args_cipher.h"
#include "services/task_queue/worker_sessions.h"

namespace slipstream::task_queue {

std::vector<std::string> WorkerSessions::DispatchOrder() {
  std::vector<std::string> order;
  sync::MutexLock lock(mu_);
  if (draining_) return order;
  const auto add = [&](auto begin, auto end) {
    for (; begin != end; ++begin) {
      const Session& session = begin->second;
      if (session.sink != nullptr && session.free() > 0) order.push_back(begin->first);
    }
  };
  // Another session begins each time, so that a single task does not always go to the same one.
  const auto first = sessions_.lower_bound(next_session_);
  add(first, sessions_.end());
  add(sessions_.begin(), first);
  next_session_ = order.size() > 1 ? order[1] : "";
  return order;
}

Async<int> WorkerSessions::Dispatch() {
  std::vector<std::string> order = DispatchOrder();
  int total = 0;
  while (!order.empty()) {  // ends: each round fills slots or takes from the waiting
    const bool alone = order.size() == 1;
    std::vector<std::string> again;
    for (const std::string& session_id : order) {
      const Given given = co_await DispatchTo(session_id, alone);
      total += given.count;
      if (given.filled) again.push_back(session_id);
    }
    order = std::move(again);
  }
  co_return total;
}

std::optional<WorkerSessions::LeaseAsked> WorkerSessions::BeginLease(const std::string& session_id,
                                                                     bool alone) {
  sync::MutexLock lock(mu_);
  auto it = sessions_.find(session_id);
  if (it == sessions_.end() || it->second.sink == nullptr || draining_) return std::nullopt;
  Session& session = it->second;
  const int free = session.free();
  if (free == 0) return std::nullopt;
  const uint64_t version = deps_.registry.version();
  if (session.lease_types == nullptr || session.types_version != version) {
    std::vector<LeaseType> types;
    for (const std::string& name : session.task_types) {
      const auto known = deps_.registry.Find(name);
      LeaseType& type = types.emplace_back(LeaseType{name});
      if (!known.ok()) continue;
      type.max_running_count = (*known)->type.max_running_count();
      type.max_starts_per_minute = (*known)->type.max_starts_per_minute();
    }
    session.lease_types = std::make_shared<const std::vector<LeaseType>>(std::move(types));
    session.types_version = version;
  }
  session.leasing = true;
  // Half of what is free, so that equal workers share a burst.
  return LeaseAsked{session.lease_types,
                    std::clamp(alone ? free : free / 2, 1, kMaxLeaseBatchCount),
                    session.stream_number};
}

// What was leased becomes held. Taken out of `tasks`: what has ended already, and orphans, whose
// stream broke while the store was asked: nobody has those, so they need no grace.
std::shared_ptr<WorkerSink> WorkerSessions::TakeLeased(const std::string& session_id,
                                                       uint64_t stream_number,
                                                       std::vector<TaskRecord>& tasks,
                                                       std::vector<LeaseKey>& orphans) {
  sync::MutexLock lock(mu_);
  auto it = sessions_.find(session_id);
  Session* session = it == sessions_.end() ? nullptr : &it->second;
  std::shared_ptr<WorkerSink> sink;
  if (session != nullptr) {
    session->leasing = false;
    if (session->stream_number == stream_number) sink = session->sink;
  }
  std::erase_if(tasks, [&](const TaskRecord& task) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (session != nullptr &&
        session->ended_while_leasing.contains({task.task_id, task.lease_epoch})) {
      return true;
    }
    if (sink == nullptr) {
      orphans.push_back({task.task_id, session_id, task.lease_epoch});
      return true;
    }
    session->held[task.task_id] = Held{.epoch = task.lease_epoch};
    return false;
  });
  if (session != nullptr) session->ended_while_leasing.clear();
  return sink;
}

Async<WorkerSessions::Given> WorkerSessions::DispatchTo(std::string session_id, bool alone) {
  const std::optional<LeaseAsked> asked = BeginLease(session_id, alone);
  if (!asked) co_return Given{};
  const absl::Time now = deps_.clock.Now();
  auto leased = co_await deps_.store.LeaseBatch(session_id, *asked->types, asked->max_count, now);
  std::vector<TaskRecord> tasks;
  if (leased.ok()) tasks = *std::move(leased);
  // It may have been done all the same, and the session, which lives on, would keep the leases.
  if (!leased.ok() && !absl::IsNotFound(leased.status())) {
    ReclaimLater(session_id, absl::ZeroDuration());
  }
  Given given;
  given.filled = static_cast<int>(tasks.size()) >= asked->max_count;
  std::vector<LeaseKey> orphans;
  const std::shared_ptr<WorkerSink> sink =
      TakeLeased(session_id, asked->stream_number, tasks, orphans);
  co_await HandBack(std::move(orphans));
  if (!tasks.empty()) {
    deps_.figures.Leased(tasks, now);
    deps_.signals.Changed(tasks);
    co_await DecryptArgs(session_id, tasks);
    given.count = static_cast<int>(tasks.size());
    if (!co_await Assign(session_id, sink, std::move(tasks))) given = Given{};
  }
  co_return given;
}

Async<bool> WorkerSessions::Assign(const std::string& session_id, std::shared_ptr<WorkerSink> sink,
                                   std::vector<TaskRecord> tasks) {
  const bool sent = sink->Assign(tasks);
  std::vector<std::pair<LeaseKey, std::string>> cancelled;
  std::vector<LeaseKey> undelivered;
  {
    sync::MutexLock lock(mu_);
    auto it = sessions_.find(session_id);
    // A stream that takes nothing is as good as gone: no more is tried on it.
    if (!sent && it != sessions_.end()) it->second.slots = 0;
    for (const TaskRecord& task : tasks) {
      if (!sent) undelivered.push_back({task.task_id, session_id, task.lease_epoch});
      if (it == sessions_.end()) continue;
      auto held = it->second.held.find(task.task_id);
      if (held == it->second.held.end() || held->second.epoch != task.lease_epoch) continue;
      held->second.assigned = true;
      const bool ended = !held->second.cancel_reason.empty();
      if (ended) {
        cancelled.emplace_back(LeaseKey{task.task_id, session_id, task.lease_epoch},
                               held->second.cancel_reason);
      }
      if (!sent || ended) it->second.held.erase(held);
    }
  }
  for (const auto& [lease, reason] : cancelled) sink->Cancel(lease, reason);
  if (!sent) sink->Close();
  co_await HandBack(std::move(undelivered));
  co_return sent;
}

// Opened in these copies alone, which go to the worker and nowhere else. A task whose arguments no
// key here opens fails this attempt: another server, or this one when it has the key, may do it.
Async<void> WorkerSessions::DecryptArgs(const std::string& session_id,
                                        std::vector<TaskRecord>& tasks) {
  std::vector<FinishRequest> unreadable;
  std::erase_if(tasks, [&](TaskRecord& task) {
    if (!SealedArgs(task.args)) return false;
    const auto opened =
        ArgsCipher::Open(deps_.args, task.args, {task.owner, task.tenant, task.task_type});
    if (opened.ok()) {
      task.args = *opened;
      return false;
    }
    task_state::Failure failure;
    failure.failure = {kArgsNotReadable, std::string(opened.status().message()), true};
    failure.jitter = deps_.random.NextDouble();
    failure.by_worker = false;
    unreadable.push_back({{task.task_id, session_id, task.lease_epoch}, std::move(failure)});
    return true;
  });
  if (unreadable.empty()) co_return;
  deps_.logger.Error("sensitive arguments can't be decrypted; is a key missing?",
                     {{"tasks", unreadable.size()}});
  const absl::Time now = deps_.clock.Now();
  auto failed = co_await deps_.store.FinishBatch(unreadable, now);
  sync::MutexLock lock(mu_);
  auto it = sessions_.find(session_id);
  for (size_t i = 0; i < unreadable.size(); ++i) {
    if (it != sessions_.end()) it->second.held.erase(unreadable[i].lease.task_id);
    if (!failed.ok() || !(*failed)[i].status.ok()) continue;
    deps_.figures.Ended({&(*failed)[i].task, 1}, now);
    deps_.signals.Changed(unreadable[i].lease.task_id);
  }
}

void WorkerSessions::ReclaimLater(const std::string& session_id, absl::Duration delay) {
  const absl::Time at = deps_.clock.Now() + delay;
  sync::MutexLock lock(mu_);
  to_reclaim_.emplace(at, session_id);
}

Async<absl::Status> WorkerSessions::Reclaim() {
  const absl::Time now = deps_.clock.Now();
  std::set<std::string> due;
  {
    sync::MutexLock lock(mu_);
    for (auto it = to_reclaim_.begin(); it != to_reclaim_.end() && it->first <= now;) {
      auto session = sessions_.find(it->second);
      const bool leasing = session != sessions_.end() && session->second.leasing;
      // Without a stream the end of the session frees them.
      if (session != sessions_.end() && session->second.sink != nullptr && !leasing) {
        due.insert(it->second);
      }
      it = leasing ? std::next(it) : to_reclaim_.erase(it);
    }
  }
  for (const std::string& session_id : due) {
    const auto stored = co_await deps_.store.FindSession(session_id, now);
    if (absl::IsNotFound(stored.status())) continue;
    if (!stored.ok()) {
      for (const std::string& id : due) ReclaimLater(id, absl::ZeroDuration());
      co_return stored.status();
    }
    std::vector<LeaseKey> unknown;
    {
      sync::MutexLock lock(mu_);
      auto it = sessions_.find(session_id);
      if (it == sessions_.end()) continue;
      if (it->second.leasing) {  // what is not known yet may be on its way
        to_reclaim_.emplace(now, session_id);
        continue;
      }
      // What has ended since is released in vain: a release counts under the present lease only.
      for (const TaskRecord& task : stored->held) {
        auto held = it->second.held.find(task.task_id);
        if (held != it->second.held.end() && held->second.epoch == task.lease_epoch) continue;
        unknown.push_back({task.task_id, session_id, task.lease_epoch});
      }
    }
    co_await HandBack(std::move(unknown));
  }
  co_return absl::OkStatus();
}

Async<void> WorkerSessions::HandBack(std::vector<LeaseKey> leases) {
  if (leases.empty()) co_return;
  const auto released = co_await deps_.store.ReleaseBatch(leases, deps_.clock.Now());
  if (!released.ok()) {
    for (const LeaseKey& lease : leases) ReclaimLater(lease.session_id, absl::ZeroDuration());
  } else {
    for (const LeaseKey& lease : leases) deps_.signals.Changed(lease.task_id);
  }
  deps_.signals.work().Notify();
}

}  // namespace slipstream::task_queue
