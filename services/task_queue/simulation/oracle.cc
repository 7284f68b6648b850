// What comes in: submits, sessions, what clients, workers and the receiver of events say.
#include "services/task_queue/simulation/oracle.h"

#include <algorithm>

#include "libs/status/status.h"

namespace slipstream::task_queue::simulation {

namespace {

std::string RequestOf(const NewTask& task) {
  return absl::StrCat(task.owner, "|", task.tenant, "|", task.request_id);
}

}  // namespace

TaskModel* Oracle::Known(std::string_view task_id, std::string_view what) {
  auto it = tasks_.find(task_id);
  if (it != tasks_.end()) return &it->second;
  Violation("no task from nowhere", absl::string_view(what.data(), what.size()), " of ",
            Name(task_id), ", which was never accepted");
  return nullptr;
}

const TaskModel* Oracle::Find(std::string_view task_id) const {
  auto it = tasks_.find(task_id);
  return it == tasks_.end() ? nullptr : &it->second;
}

TaskModel* Oracle::UniqueHolder(const NewTask& task) {
  if (task.unique_key.empty()) return nullptr;
  for (auto& [id, model] : tasks_) {
    if (model.unfinished() && model.spec.unique_key == task.unique_key &&
        model.spec.owner == task.owner && model.spec.tenant == task.tenant) {
      return &model;
    }
  }
  return nullptr;
}

// --- submits

void Oracle::OnSubmit(std::span<const NewTask> tasks, bool all_or_nothing,
                      const absl::StatusOr<std::vector<absl::StatusOr<Submitted>>>& result,
                      absl::Time now) {
  if (!result.ok()) return;
  size_t accepted_count = 0;
  for (size_t i = 0; i < tasks.size() && i < result->size(); ++i) {
    const absl::StatusOr<Submitted>& one = (*result)[i];
    if (one.ok()) {
      ++accepted_count;
      Accept(tasks[i], *one, now);
    } else if (!all_or_nothing) {
      CheckRefused(tasks[i], one.status());
    }
  }
  if (all_or_nothing && accepted_count != 0 && accepted_count != tasks.size()) {
    Violation("all or nothing", accepted_count, " of ", tasks.size(), " were accepted");
  }
}

void Oracle::Accept(const NewTask& task, const Submitted& submitted, absl::Time now) {
  const std::string& id = submitted.task.task_id;
  if (id != task.task_id) stands_for_[task.task_id] = id;
  const std::string request = RequestOf(task);
  auto first = task.request_id.empty() ? requests_.end() : requests_.find(request);
  deps_.trace.Add("store: submit ", Name(id), submitted.duplicate ? " (duplicate)" : "",
                  submitted.debounced ? " (debounced)" : "", " type ", task.task_type, " for ",
                  task.owner, " priority ", static_cast<int>(task.priority),
                  task.unique_key.empty() ? "" : " unique", task.depends_on.empty() ? "" : " flow");
  if (first != requests_.end()) {
    ++counts_.duplicates;
    if (!submitted.duplicate || first->second != id) {
      Violation("a request id gives one task", "request ", task.request_id, " gave ",
                Name(first->second), " and then ", Name(id));
    }
    return;
  }
  if (submitted.duplicate) {
    return Violation("a request id gives one task", Name(id), " was answered for a new request");
  }
  TaskModel* holder = UniqueHolder(task);
  if (submitted.replaced) {
    TaskModel* replaced = Known(submitted.replaced->task_id, "a replacement");
    if (replaced == nullptr) return;
    if (replaced != holder || holder->status == TaskStatus::kRunning ||
        task.unique_policy != UniquePolicy::kReplace) {
      return Violation("unique key", Name(replaced->spec.task_id), " was replaced wrongly");
    }
    Step(*replaced, *submitted.replaced, true);
    End(*replaced, TaskStatus::kCancelled, now);
    ++counts_.replaced;
    holder = nullptr;
  }
  if (submitted.debounced) {
    if (const std::string wrong = DebounceOf(*Known(id, "a debounce"), task, now); !wrong.empty()) {
      Violation("unique key", wrong);
    }
    return;
  }
  if (holder != nullptr) {
    return Violation("unique key: one unfinished task", Name(id), " was accepted while ",
                     Name(holder->spec.task_id), " has the key");
  }
  if (id != task.task_id || tasks_.contains(id)) {
    return Violation("nothing acknowledged is lost", "the new ", Name(id), " has another's id");
  }
  ++counts_.submitted;
  TaskModel& model = tasks_[id];
  model.spec = task;
  model.version = submitted.task.version;
  for (const std::string& dependency : task.depends_on) {
    auto other = stands_for_.find(dependency);
    const std::string& on_id = other == stands_for_.end() ? dependency : other->second;
    TaskModel* on = Known(on_id, "a dependency");
    if (on == nullptr) return;
    if (on->spec.owner != task.owner ||
        (!on->unfinished() && on->status != TaskStatus::kSucceeded)) {
      return Violation("dependencies", Name(id), " depends on ", Name(dependency),
                       ", which is another's or can't succeed any more");
    }
    if (on->status != TaskStatus::kSucceeded) model.waits_for.insert(on_id);
  }
  model.ready_at = std::max(task.run_at.value_or(now), now);
  if (!model.waits_for.empty()) model.ready_at = absl::InfiniteFuture();
  model.expires_at = model.ready_at + task.expires_in;
  model.status = model.ready_at > now ? TaskStatus::kScheduled : TaskStatus::kPending;
  if (submitted.task.status != model.status) {
    Violation("states", Name(id), " was accepted as ",
              std::string(StatusName(submitted.task.status)));
  }
  if (!task.request_id.empty()) requests_[request] = id;
}

std::string Oracle::DebounceOf(TaskModel& model, const NewTask& newer, absl::Time now) {
  if (model.spec.unique_key != newer.unique_key || newer.unique_policy != UniquePolicy::kDebounce) {
    return absl::StrCat(Name(model.spec.task_id), " was debounced by a stranger");
  }
  if (model.status != TaskStatus::kPending && model.status != TaskStatus::kScheduled) {
    return absl::StrCat(Name(model.spec.task_id), " was debounced although it no longer waits");
  }
  ++counts_.debounced;
  model.spec.args = newer.args;
  model.spec.run_at = newer.run_at;
  model.ready_at =
      model.waits_for.empty() ? std::max(newer.run_at.value_or(now), now) : absl::InfiniteFuture();
  model.expires_at =
      model.started ? absl::InfiniteFuture() : model.ready_at + model.spec.expires_in;
  model.status = model.ready_at > now ? TaskStatus::kScheduled : TaskStatus::kPending;
  return "";
}

void Oracle::CheckRefused(const NewTask& task, const absl::Status& status) {
  const std::string reason = status::Reason(status);
  deps_.trace.Add("store: refused a submit of ", task.owner, ": ", reason);
  if (reason == kUniqueKeyTaken) {
    ++counts_.unique_taken;
    const TaskModel* holder = UniqueHolder(task);
    if (holder == nullptr) {
      Violation("unique key: free after the end", "refused although no unfinished task has it");
    } else if (task.unique_policy != UniquePolicy::kReject &&
               holder->status != TaskStatus::kRunning) {
      Violation("unique key", "refused although ", Name(holder->spec.task_id), " only waits");
    }
    return;
  }
  if (!task.depends_on.empty()) return;  // those may have ended, or be forgotten
  if (!task.request_id.empty() && requests_.contains(RequestOf(task))) return;
  Violation("submits are accepted", "refused: ", status.ToString());
}

// --- sessions

void Oracle::OnOpenSession(const SessionLease& session, const absl::Status& result) {
  if (!result.ok()) return;
  deps_.trace.Add("store: session ", deps_.trace.Session(session.session_id));
  SessionModel& model = sessions_[session.session_id];
  model.user = session.user;
  model.until = session.until;
  // A server takes up again what it believes to be connected.
  ++model.renewals_count;
  model.grace_until = absl::InfiniteFuture();
}

void Oracle::OnRenewSessions(std::span<const SessionLease> sessions,
                             const absl::StatusOr<std::vector<bool>>& result, absl::Time now) {
  if (!result.ok()) return;
  for (size_t i = 0; i < sessions.size(); ++i) {
    auto it = sessions_.find(sessions[i].session_id);
    const bool alive = it != sessions_.end() && it->second.until > now;
    if ((*result)[i] != alive) {
      Violation("a session lives until its lease is over",
                deps_.trace.Session(sessions[i].session_id), alive ? " is gone" : " came to life");
      return;
    }
    if (!alive) continue;
    it->second.until = sessions[i].until;
    ++it->second.renewals_count;
    it->second.grace_until = absl::InfiniteFuture();
  }
}

void Oracle::OnFindSession(std::string_view session_id, const absl::StatusOr<StoredSession>& result,
                           absl::Time now) {
  auto it = sessions_.find(session_id);
  const bool alive = it != sessions_.end() && it->second.until > now;
  if (result.ok() != alive) {
    return Violation("a session lives until its lease is over", deps_.trace.Session(session_id),
                     alive ? " is not found" : " is found");
  }
  if (!alive) return;
  for (const TaskRecord& held : result->held) {
    const TaskModel* model = Known(held.task_id, "a found session's hold");
    if (model == nullptr) return;
    if (model->session_id != session_id || model->epoch != held.lease_epoch) {
      Violation("one lease, one holder", deps_.trace.Session(session_id), " is said to hold ",
                Name(held.task_id));
    }
  }
}

void Oracle::OnConnected(const std::string& session_id, const std::string& user, bool resumed,
                         const void* stream) {
  counts_.resumed += resumed;
  auto it = sessions_.find(session_id);
  if (it == sessions_.end()) return;  // it has ended since
  it->second.stream = stream;
  it->second.grace_until = absl::InfiniteFuture();
  if (resumed && it->second.user != user) {
    Violation("a session is resumed by its own user", deps_.trace.Session(session_id), " of ",
              it->second.user, " was resumed by ", user);
  }
  it->second.user = user;
}

void Oracle::OnStreamLost(const std::string& session_id, const void* stream,
                          int64_t renewals_count) {
  auto it = sessions_.find(session_id);
  if (it == sessions_.end() || it->second.stream != stream) return;
  if (it->second.renewals_count != renewals_count + 1) return;
  it->second.grace_until = deps_.scheduler.now() + deps_.settings.times.grace;
}

// --- workers and clients

void Oracle::OnStart(int worker, const std::string& task_id, int64_t epoch,
                     const std::string& args) {
  deps_.trace.Add("worker ", worker, " starts ", Name(task_id), " epoch ", epoch);
  const TaskModel* model = Known(task_id, "a start");
  if (model == nullptr) return;
  if (!started_.emplace(task_id, epoch).second) {
    Violation("one lease, one holder", Name(task_id), " with epoch ", epoch,
              " was started a second time, by worker ", worker);
  }
  if (epoch > model->epoch) {
    Violation("epochs grow", Name(task_id), " was started with epoch ", epoch,
              ", which was never given");
  }
  // A debounce may have changed them since.
  if (model->spec.unique_key.empty() && args != *model->spec.args) {
    Violation("arguments", Name(task_id), " was started with another's arguments");
  }
}

void Oracle::OnAccepted(const std::string& task_id, const std::string& args) {
  const TaskModel* model = Known(task_id, "an acknowledgement");
  if (model == nullptr || !model->spec.unique_key.empty()) return;
  if (args != *model->spec.args) {
    Violation("a request id gives one task", Name(task_id), " was answered for other arguments");
  }
}

std::vector<std::string> Oracle::TaskIds() const {
  std::vector<std::string> ids;
  for (const auto& [id, model] : tasks_) {
    if (!model.gone) ids.push_back(id);
  }
  return ids;
}

std::vector<std::string> Oracle::Unfinished() const {
  std::vector<std::string> ids;
  for (const auto& [id, model] : tasks_) {
    if (model.unfinished()) ids.push_back(id);
  }
  return ids;
}

}  // namespace slipstream::task_queue::simulation
