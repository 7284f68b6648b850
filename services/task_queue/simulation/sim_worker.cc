#include "services/task_queue/simulation/sim_worker.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace slipstream::task_queue::simulation {

namespace {

v1::TaskType Type(const std::string& name, bool limits) {
  v1::TaskType type;
  type.set_name(name);
  if (limits && name == kLimited) type.set_max_running_count(kLimitedRunning);
  if (limits && name == kRated) type.set_max_starts_per_minute(kRatedPerMinute);
  return type;
}

}  // namespace

SimWorker::SimWorker(Deps deps, int number) : deps_(deps), number_(number) {
  options_.name = absl::StrCat("worker ", number);
  options_.slots = deps.scheduler.Between(1, deps.settings.max_slots_count);
  for (const char* name : {kPlain, kOther, kLimited, kRated}) {
    // The first runs all types, so that every task can end.
    if (number > 0 && deps.scheduler.Chance(0.3)) continue;
    options_.types.push_back(Type(name, deps.settings.use.limits));
  }
  if (options_.types.empty()) options_.types.push_back(Type(kPlain, deps.settings.use.limits));
}

void SimWorker::Start() {
  if (up()) return;
  owner_ = deps_.scheduler.NewOwner();
  session_ = std::make_unique<worker_client::WorkerSession>(options_);
  wake_at_ = absl::InfiniteDuration();
  ConnectSoon();
}

void SimWorker::Crash() {
  if (!up()) return;
  deps_.trace.Add("worker ", number_, " is gone");
  deps_.scheduler.Kill(owner_);
  if (stream_ != nullptr) stream_->WorkerDied(deps_.scheduler.Chance(0.7));
  stream_.reset();
  session_.reset();
  handlers_.clear();
  deferred_.clear();
  paused_ = false;
}

void SimWorker::Pause(absl::Duration duration) {
  if (!up() || paused_) return;
  deps_.trace.Add("worker ", number_, " pauses for ", absl::FormatDuration(duration));
  paused_ = true;
  calm_since_ = deps_.scheduler.now() + duration;
  deps_.scheduler.After(owner_, duration, [this] {
    paused_ = false;
    deps_.trace.Add("worker ", number_, " goes on");
    for (auto& act : std::exchange(deferred_, {})) act();
  });
}

void SimWorker::BreakStream(bool server_hears) {
  if (stream_ == nullptr) return;
  deps_.trace.Add("worker ", number_, "'s stream breaks");
  stream_->Break(server_hears);
}

bool SimWorker::UnawareSince(const std::string& task_id, int64_t epoch, absl::Time since) const {
  if (!online() || paused_ || stream_ == nullptr || stream_->broken()) return false;
  if (stream_->opened_at() > since || calm_since_ > since) return false;
  auto it = handlers_.find({task_id, epoch});
  return it != handlers_.end() && !it->second.stopped;
}

bool SimWorker::Without(const std::string& session_id, const std::string& task_id,
                        int64_t epoch) const {
  if (!online() || paused_ || stream_ == nullptr || stream_->broken()) return false;
  if (session_->session_id() != session_id || handlers_.contains({task_id, epoch})) return false;
  const worker_client::WorkerStats stats = session_->stats();
  return stats.waiting_count == 0 && stats.unacked_count == 0;
}

void SimWorker::Do(std::function<void()> act) {
  if (paused_) {
    deferred_.push_back(std::move(act));
  } else {
    act();
  }
}

void SimWorker::After(absl::Duration delay, std::function<void()> act) {
  deps_.scheduler.After(owner_, delay,
                        [this, act = std::move(act)]() mutable { Do(std::move(act)); });
}

// --- the stream

void SimWorker::ConnectSoon() {
  After(deps_.scheduler.Between(absl::Milliseconds(5), absl::Milliseconds(400)),
        [this] { Connect(); });
}

void SimWorker::Connect() {
  std::vector<SimServer*> servers;
  for (const auto& server : deps_.servers) {
    if (server->accepts()) servers.push_back(server.get());
  }
  if (servers.empty()) return ConnectSoon();
  SimServer& server = *deps_.scheduler.Pick(servers);
  stream_ = std::make_shared<SimStream>(deps_.scheduler, server, server.owner(), *this, owner_,
                                        kWorkerUser);
  stream_->SendToServer(session_->Hello(mono()));
  Pump();
}

void SimWorker::OnResponse(const std::shared_ptr<SimStream>& stream, WorkResponse response) {
  Do([this, stream, response = std::move(response)] {
    if (stream != stream_) return;
    session_->OnResponse(std::make_shared<const WorkResponse>(response), mono(),
                         deps_.scheduler.now());
    Pump();
  });
}

void SimWorker::OnGone(const std::shared_ptr<SimStream>& stream) {
  Do([this, stream] {
    if (stream != stream_) return;
    stream_.reset();
    session_->OnDisconnected();
    ConnectSoon();
    Pump();
  });
}

void SimWorker::Pump() {
  auto tasks = session_->TakeTaskActions(mono());
  for (const auto& [key, reason] : tasks.stop) StopHandler(key);
  for (const auto& assignment : tasks.start) StartHandler(*assignment);
  if (stream_ != nullptr) {
    auto actions = session_->TakeStreamActions(mono());
    for (const std::string& message : actions.send) {
      WorkRequest request;
      if (!request.ParseFromString(message)) std::abort();  // the session's own message
      Send(std::move(request));
    }
    if (actions.finish || mono() >= session_->GiveUpAt()) stream_->Break(true);
  }
  absl::Duration due = session_->NextDue();
  if (stream_ != nullptr && !stream_->broken()) due = std::min(due, session_->GiveUpAt());
  if (due >= wake_at_ || due == absl::InfiniteDuration()) return;
  wake_at_ = due;
  After(due - mono(), [this, due] {
    if (wake_at_ != due) return;
    wake_at_ = absl::InfiniteDuration();
    Pump();
  });
}

void SimWorker::Send(WorkRequest request) {
  if (deps_.faults.Strikes(Fault::kDuplicateReport, 0.15)) {
    WorkRequest again = request;
    if (again.has_batch()) {
      // Neither heartbeats nor slots: only what is about a task.
      auto& requests = *again.mutable_batch()->mutable_requests();
      for (int i = requests.size() - 1; i >= 0; --i) {
        if (requests[i].has_heartbeat() || requests[i].has_slots()) requests.DeleteSubrange(i, 1);
      }
    }
    if (!again.has_heartbeat() && !again.has_slots() &&
        !(again.has_batch() && again.batch().requests().empty())) {
      const absl::Duration later =
          deps_.scheduler.Chance(0.3)
              ? absl::Milliseconds(1)
              : deps_.scheduler.Between(absl::Milliseconds(1), absl::Seconds(6));
      deps_.scheduler.After(owner_, later, [this, again] {
        if (stream_ != nullptr && session_->online()) stream_->SendToServer(again);
      });
    }
  }
  stream_->SendToServer(std::move(request));
}

// --- handlers

WorkRequest SimWorker::OutcomeOf(const Key& key) {
  WorkRequest request;
  const int dice = deps_.scheduler.Between(1, 100);
  if (dice <= 80) {
    auto& success = *request.mutable_success();
    success.set_task_id(key.task_id);
    success.set_lease_epoch(key.epoch);
    (*success.mutable_result()->mutable_fields())["by"].set_string_value(
        absl::StrCat(number_, " with epoch ", key.epoch));
  } else if (dice <= 95) {
    auto& failure = *request.mutable_failure();
    failure.set_task_id(key.task_id);
    failure.set_lease_epoch(key.epoch);
    failure.set_reason("SIMULATED");
    failure.set_retryable(dice <= 92);
    if (dice % 4 == 0) failure.set_retry_after_ms(deps_.scheduler.Between(1, 3000));
  } else {
    request.mutable_release()->set_task_id(key.task_id);
    request.mutable_release()->set_lease_epoch(key.epoch);
  }
  return request;
}

void SimWorker::StartHandler(const WorkResponse::Assignment& assignment) {
  const Key key{assignment.task_id(), assignment.lease_epoch()};
  deps_.oracle.OnStart(number_, key.task_id, key.epoch, assignment.args().SerializeAsString());
  Handler& handler = handlers_[key];
  handler.outcome = OutcomeOf(key);
  handler.stubborn = deps_.faults.Strikes(Fault::kStubbornTask, 0.3);
  const absl::Duration usual = deps_.settings.run_time;
  absl::Duration takes = deps_.scheduler.Between(usual / 10, usual * 2);
  if (deps_.faults.Strikes(Fault::kSlowTask, 0.15)) {
    takes = deps_.scheduler.Between(absl::Seconds(3), absl::Seconds(9));
  }
  for (int percent = 30; percent < 100; percent += 40) {
    if (!deps_.scheduler.Chance(0.5)) continue;
    After(takes * percent / 100, [this, key, percent] {
      session_->Progress(key, percent, "under way");
      Pump();
    });
  }
  After(takes, [this, key] { EndHandler(key); });
}

void SimWorker::StopHandler(const Key& key) {
  auto it = handlers_.find(key);
  if (it == handlers_.end()) return;
  it->second.stopped = true;
  deps_.trace.Add("worker ", number_, " is to stop ", deps_.trace.Task(key.task_id), " epoch ",
                  key.epoch, it->second.stubborn ? ", and does not" : "");
  if (it->second.stubborn) return;
  After(deps_.scheduler.Between(absl::Milliseconds(1), absl::Milliseconds(30)),
        [this, key] { EndHandler(key); });
}

void SimWorker::EndHandler(const Key& key) {
  auto it = handlers_.find(key);
  if (it == handlers_.end()) return;
  WorkRequest outcome = std::move(it->second.outcome);
  handlers_.erase(it);
  session_->Finish(key, std::move(outcome));
  Pump();
}

}  // namespace slipstream::task_queue::simulation
