#include "libs/client/worker/worker_session.h"

#include <algorithm>

#include "libs/client/worker/task.h"
#include "libs/status/status.h"
#include "libs/timestamp/timestamp.h"

namespace slipstream::worker_client {

namespace {

WorkerSession::WorkRequest ReleaseOf(const LeaseKey& key) {
  WorkerSession::WorkRequest request;
  request.mutable_release()->set_task_id(key.task_id);
  request.mutable_release()->set_lease_epoch(key.epoch);
  return request;
}

// What becomes of a success that the queue could not read: every attempt would give it again.
WorkerSession::WorkRequest UnusableResult(const LeaseKey& key, const absl::Status& error) {
  WorkerSession::WorkRequest request;
  auto& failure = *request.mutable_failure();
  failure.set_task_id(key.task_id);
  failure.set_lease_epoch(key.epoch);
  failure.set_reason("INVALID_RESULT");
  failure.set_message(status::BoundedText(error.message(), 2048));
  return request;
}

}  // namespace

WorkerSession::WorkerSession(Options options) : options_(std::move(options)) {}

void WorkerSession::OnResponse(std::shared_ptr<const WorkResponse> response, absl::Duration now,
                               absl::Time wall) {
  last_heard_ = now;
  if (!response->has_batch()) return OnOne(response, *response, now, wall);
  // One level only: a batch in a batch is against the protocol.
  for (const WorkResponse& one : response->batch().responses()) OnOne(response, one, now, wall);
}

void WorkerSession::OnOne(const std::shared_ptr<const WorkResponse>& whole,
                          const WorkResponse& response, absl::Duration now, absl::Time wall) {
  switch (response.message_case()) {
    case WorkResponse::kWelcome:
      return OnWelcome(response.welcome(), now);
    case WorkResponse::kAssignment:
      return OnAssignment(AssignmentPtr(whole, &response.assignment()), now, wall);
    case WorkResponse::kCancel:
      return OnCancel(response.cancel());
    case WorkResponse::kAck:
      return OnAck(response.ack());
    case WorkResponse::kDrain:
      server_drains_ = true;
      return;
    case WorkResponse::kBatch:
    case WorkResponse::kHeartbeatAck:
    case WorkResponse::MESSAGE_NOT_SET:  // of a newer queue
      return;                            // something was heard
  }
}

void WorkerSession::OnWelcome(const WorkResponse::Welcome& welcome, absl::Duration now) {
  if (state_ != State::kGreeting) return;
  state_ = State::kOnline;
  session_id_ = welcome.session_id();
  heartbeat_interval_ =
      std::max(absl::Milliseconds(welcome.heartbeat_interval_ms()), absl::Milliseconds(10));
  acks_heartbeats_ = welcome.acks_heartbeats();
  next_heartbeat_ = now + heartbeat_interval_ / 2;
  ++stats_.sessions_total;
  if (welcome.resumed()) ++stats_.resumed_total;
  const std::set<std::string> lost(welcome.lost_task_ids().begin(), welcome.lost_task_ids().end());
  for (auto it = leases_.begin(); it != leases_.end();) {
    auto next = std::next(it);
    const bool gone = !welcome.resumed() || lost.count(it->first.task_id) > 0;
    // What has an outcome is sent again all the same: the answer says whether it had counted.
    if (gone && !it->second.outcome && !it->second.muted) {
      ++stats_.lost_total;
      task_actions_.refusals.push_back(
          {it->first, status::Error(absl::StatusCode::kAborted, "STALE_LEASE",
                                    "the lease ended while the stream was broken")});
      Mute(it, kStaleLease);
    }
    it = next;
  }
  StartWaiting();
  // The hello's slots say nothing of handlers that wind down, nor of a drain.
  slots_changed_ = drain_deadline_.has_value() ||
                   std::any_of(leases_.begin(), leases_.end(), [](const auto& entry) {
                     return entry.second.running && entry.second.muted;
                   });
}

void WorkerSession::OnAssignment(AssignmentPtr assignment, absl::Duration now, absl::Time wall) {
  const LeaseKey key{assignment->task_id(), assignment->lease_epoch()};
  auto [it, fresh] = leases_.try_emplace(key);
  if (!fresh) return;
  ++stats_.assigned_total;
  if (drain_deadline_ || static_cast<int>(waiting_.size()) >= options_.slots) {
    return Owe(it, ReleaseOf(key));
  }
  if (assignment->has_deadline()) {
    it->second.deadline =
        now + (timestamp::ToTime(assignment->deadline()) - wall) + kDeadlineLeeway;
    it->second.serial = next_serial_++;
    deadlines_.emplace(std::pair(it->second.deadline, it->second.serial), &it->first);
  }
  it->second.waiting = true;
  waiting_.push_back(std::move(assignment));
  StartWaiting();
  if (waiting_.empty()) return;
  overflowed_ = true;
  waiting_.back() = std::make_shared<WorkResponse::Assignment>(*waiting_.back());
}

void WorkerSession::StartWaiting() {
  while (!waiting_.empty() && running_count_ < options_.slots && owed_count_ < kMaxOwedCount) {
    AssignmentPtr assignment = std::move(waiting_.front());
    waiting_.pop_front();
    Lease& lease = leases_[{assignment->task_id(), assignment->lease_epoch()}];
    lease.waiting = false;
    lease.running = true;
    ++running_count_;
    task_actions_.start.push_back(std::move(assignment));
  }
}

void WorkerSession::OnCancel(const WorkResponse::Cancel& cancel) {
  const auto it = leases_.find({cancel.task_id(), cancel.lease_epoch()});
  // With an outcome on its way the queue's answer to that settles it.
  if (it == leases_.end() || it->second.muted || it->second.outcome) return;
  ++stats_.cancelled_total;
  slots_changed_ = slots_changed_ || it->second.running;
  Mute(it, cancel.reason());
}

void WorkerSession::Mute(Leases::iterator it, std::string_view reason) {
  const LeaseKey key = it->first;
  it->second.muted = true;
  reported_.erase(key);
  if (it->second.running) {
    task_actions_.stop.emplace_back(key, std::string(reason));
    return;
  }
  std::erase_if(waiting_, [&](const auto& a) {
    return a->task_id() == key.task_id && a->lease_epoch() == key.epoch;
  });
  it->second.waiting = false;
  EraseIfDone(it);
}

void WorkerSession::OnAck(const WorkResponse::Ack& ack) {
  const auto it = leases_.find({ack.task_id(), ack.lease_epoch()});
  if (it == leases_.end()) return;
  if (it->second.outcome) {
    if (it->second.sent) OnOutcomeAck(it, ack);
    return;
  }
  // A progress was refused: the lease is gone, or the message was no good (the task goes on).
  if (ack.accepted() || it->second.muted) return;
  const absl::Status error = status::FromRpcStatus(ack.error());
  const bool invalid = status::Reason(error) == status::kInvalidField;
  ++(invalid ? stats_.refused_total : stats_.stale_total);
  task_actions_.refusals.push_back({it->first, error});
  if (invalid) return;
  slots_changed_ = slots_changed_ || it->second.running;
  Mute(it, kStaleLease);
}

void WorkerSession::OnOutcomeAck(Leases::iterator it, const WorkResponse::Ack& ack) {
  const WorkRequest::MessageCase kind = it->second.outcome->kind;
  if (ack.accepted()) {
    ++(kind == WorkRequest::kSuccess   ? stats_.succeeded_total
       : kind == WorkRequest::kFailure ? stats_.failed_total
                                       : stats_.released_total);
    return Settle(it);
  }
  const absl::Status error = status::FromRpcStatus(ack.error());
  const std::string reason = status::Reason(error);
  ++(reason == kStaleLease ? stats_.stale_total : stats_.refused_total);
  task_actions_.refusals.push_back({it->first, error});
  if (reason == status::kInvalidField && kind == WorkRequest::kSuccess) {
    --owed_count_;
    return Owe(it, UnusableResult(it->first, error));
  }
  Settle(it);
}

void WorkerSession::Owe(Leases::iterator it, Outcome outcome) {
  it->second.outcome = std::move(outcome);
  it->second.sent = false;
  ++owed_count_;
  unsent_.push_back(it->first);
}

void WorkerSession::Settle(Leases::iterator it) {
  --owed_count_;
  it->second.outcome.reset();
  it->second.muted = true;  // handed back while its handler still runs
  EraseIfDone(it);
  StartWaiting();
}

void WorkerSession::EraseIfDone(Leases::iterator it) {
  if (it->second.running || it->second.waiting || it->second.outcome) return;
  reported_.erase(it->first);
  if (it->second.deadline != absl::InfiniteDuration()) {
    deadlines_.erase({it->second.deadline, it->second.serial});
  }
  leases_.erase(it);
}

void WorkerSession::Progress(const LeaseKey& key, int percent, std::string_view message) {
  const auto it = leases_.find(key);
  if (it == leases_.end() || it->second.muted || it->second.outcome) return;
  Report& report = it->second.report;
  report.percent = std::clamp(percent, report.percent, 100);
  report.message = status::BoundedText(absl::string_view(message.data(), message.size()),
                                       kMaxProgressMessageBytes);
  reported_.insert(key);
}

void WorkerSession::Finish(const LeaseKey& key, Outcome outcome) {
  const auto it = leases_.find(key);
  if (it == leases_.end() || !it->second.running) return;
  it->second.running = false;
  --running_count_;
  if (it->second.muted) {
    // Until now the queue was told that this slot is taken.
    slots_changed_ = true;
  } else if (!it->second.outcome) {
    Owe(it, std::move(outcome));
  }
  EraseIfDone(it);
  StartWaiting();
  // The queue took this worker for larger than it is (messages crossed): it is put right.
  if (overflowed_) {
    slots_changed_ = true;
    overflowed_ = !waiting_.empty();
  }
}

void WorkerSession::Drain(absl::Duration deadline) {
  if (drain_deadline_) return;
  drain_deadline_ = deadline;
  slots_changed_ = true;
  for (const AssignmentPtr& assignment : waiting_) {
    const auto it = leases_.find({assignment->task_id(), assignment->lease_epoch()});
    it->second.waiting = false;
    Owe(it, ReleaseOf(it->first));
  }
  waiting_.clear();
  overflowed_ = false;
}

void WorkerSession::StopOverdue(absl::Duration now) {
  while (!deadlines_.empty() && deadlines_.begin()->first.first <= now) {
    const auto it = leases_.find(*deadlines_.begin()->second);
    deadlines_.erase(deadlines_.begin());
    if (it == leases_.end() || it->second.muted || !it->second.running) continue;
    // Not muted: what its handler says then is reported.
    task_actions_.stop.emplace_back(it->first, std::string(kDeadlineExceeded));
  }
}

void WorkerSession::HandBackRunning() {
  handed_back_ = true;
  for (auto it = leases_.begin(); it != leases_.end(); ++it) {
    if (!it->second.running || it->second.muted || it->second.outcome) continue;
    reported_.erase(it->first);
    Owe(it, ReleaseOf(it->first));
    task_actions_.stop.emplace_back(it->first, std::string(kDrain));
  }
}

bool WorkerSession::Holds() const {
  return std::any_of(leases_.begin(), leases_.end(), [](const auto& entry) {
    const Lease& lease = entry.second;
    return lease.outcome || lease.waiting || (lease.running && !lease.muted);
  });
}

bool WorkerSession::Drained(absl::Duration now) const {
  if (!drain_deadline_) return false;
  return !Holds() || now >= *drain_deadline_ + options_.hand_back_timeout;
}

int WorkerSession::FreeSlots() const {
  if (drain_deadline_) return 0;
  return std::max(0, options_.slots - running_count_ - static_cast<int>(waiting_.size()));
}

WorkerSession::TaskActions WorkerSession::TakeTaskActions(absl::Duration now) {
  StopOverdue(now);
  if (drain_deadline_ && !handed_back_ && now >= *drain_deadline_) HandBackRunning();
  return std::exchange(task_actions_, {});
}

WorkerStats WorkerSession::stats() const {
  WorkerStats stats = stats_;
  stats.connected = online();
  stats.running_count = running_count_;
  stats.waiting_count = static_cast<int>(waiting_.size());
  stats.unacked_count = owed_count_;
  return stats;
}

}  // namespace slipstream::worker_client
