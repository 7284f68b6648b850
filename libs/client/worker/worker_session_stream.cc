// The half of WorkerSession that speaks: the hello and what is sent on a stream, batched.
#include <algorithm>
#include <span>

#include "libs/client/worker/worker_session.h"
#include "libs/protowire/protowire.h"

namespace slipstream::worker_client {

namespace {

using WorkRequest = WorkerSession::WorkRequest;

// One message of several, without looking into any.
std::string BatchOf(std::span<const std::string> requests) {
  size_t bytes = 0;
  for (const std::string& request : requests) bytes += protowire::BytesFieldBytes(request.size());
  std::string out(1 + protowire::VarintBytes(bytes) + bytes, '\0');
  char* at = protowire::WriteTagged(protowire::BytesTag(WorkRequest::kBatchFieldNumber), bytes,
                                    out.data());
  for (const std::string& request : requests) {
    at = protowire::WriteBytes(WorkRequest::Batch::kRequestsFieldNumber, request, at);
  }
  return out;
}

// As few messages as the bounds of a batch allow, in order.
std::vector<std::string> Batched(std::vector<std::string> requests) {
  if (requests.size() < 2) return requests;
  std::vector<std::string> out;
  for (size_t begin = 0; begin < requests.size();) {
    size_t end = begin;
    size_t bytes = 0;
    while (end < requests.size() && end - begin < static_cast<size_t>(kMaxBatchCount) &&
           (end == begin || bytes + requests[end].size() <= kMaxBatchBytes)) {
      bytes += requests[end++].size();
    }
    out.push_back(BatchOf({requests.data() + begin, end - begin}));
    begin = end;
  }
  return out;
}

}  // namespace

WorkRequest WorkerSession::Hello(absl::Duration now) {
  state_ = State::kGreeting;
  welcome_by_ = now + options_.welcome_timeout;
  WorkRequest request;
  WorkRequest::Hello& hello = *request.mutable_hello();
  hello.set_worker_name(options_.name);
  for (const auto& type : options_.types) *hello.add_task_types() = type;
  hello.set_slots(options_.slots);
  hello.set_session_id(session_id_);
  hello.set_accepts_batches(true);
  hello.set_accepts_heartbeat_acks(true);
  for (const auto& [key, lease] : leases_) {
    if (lease.muted || hello.held_tasks_size() >= kMaxHeldCount) continue;
    WorkRequest::HeldTask& held = *hello.add_held_tasks();
    held.set_task_id(key.task_id);
    held.set_lease_epoch(key.epoch);
  }
  return request;
}

void WorkerSession::OnDisconnected() {
  state_ = State::kOffline;
  server_drains_ = false;
  finished_ = false;
  slots_changed_ = false;
  said_none_ = false;
  unsent_.clear();
  for (auto& [key, lease] : leases_) {
    lease.sent = false;
    if (lease.outcome) unsent_.push_back(key);
  }
}

void WorkerSession::CollectOutcomes(std::vector<std::string>* out) {
  out->reserve(out->size() + unsent_.size());
  for (const LeaseKey& key : unsent_) {
    const auto it = leases_.find(key);
    if (it == leases_.end() || !it->second.outcome || it->second.sent) continue;
    // The last step is seen even when it came just before the end.
    if (reported_.erase(key) > 0 && it->second.outcome->kind == WorkRequest::kSuccess) {
      out->push_back(ProgressOf(key, it->second.report));
    }
    it->second.sent = true;
    out->push_back(it->second.outcome->bytes);
  }
  unsent_.clear();
}

std::string WorkerSession::ProgressOf(const LeaseKey& key, const Report& report) {
  WorkRequest request;
  WorkRequest::Progress& progress = *request.mutable_progress();
  progress.set_task_id(key.task_id);
  progress.set_lease_epoch(key.epoch);
  progress.set_percent(report.percent);
  progress.set_message(report.message);
  return request.SerializeAsString();
}

void WorkerSession::CollectProgress(absl::Duration now, std::vector<std::string>* out) {
  for (auto it = reported_.begin(); it != reported_.end();) {
    const auto lease = leases_.find(*it);
    if (lease == leases_.end()) {
      it = reported_.erase(it);
      continue;
    }
    Report& report = lease->second.report;
    if (now < report.last_sent + options_.progress_interval) {
      ++it;
      continue;
    }
    report.last_sent = now;
    out->push_back(ProgressOf(*it, report));
    it = reported_.erase(it);
  }
}

WorkerSession::StreamActions WorkerSession::TakeStreamActions(absl::Duration now) {
  StreamActions actions;
  if (state_ != State::kOnline || finished_) return actions;
  std::vector<std::string> out;
  if (now >= next_heartbeat_) {
    // Half of what the queue allows: one that is late still counts.
    next_heartbeat_ = now + heartbeat_interval_ / 2;
    WorkRequest heartbeat;
    heartbeat.mutable_heartbeat();
    out.push_back(heartbeat.SerializeAsString());
  }
  CollectOutcomes(&out);
  // Behind the outcomes: the queue adds them to what it takes this worker to hold by then.
  if (slots_changed_ || (said_none_ && FreeSlots() > 0)) {
    slots_changed_ = false;
    said_none_ = FreeSlots() == 0;
    WorkRequest slots;
    slots.mutable_slots()->set_free_slots(FreeSlots());
    out.push_back(slots.SerializeAsString());
  }
  CollectProgress(now, &out);
  actions.send = Batched(std::move(out));
  actions.finish = Drained(now) || (server_drains_ && !Holds());
  finished_ = actions.finish;
  return actions;
}

absl::Duration WorkerSession::NextDue() const {
  absl::Duration due = absl::InfiniteDuration();
  if (!deadlines_.empty()) due = std::min(due, deadlines_.begin()->first.first);
  if (drain_deadline_) {
    due = std::min(due,
                   handed_back_ ? *drain_deadline_ + options_.hand_back_timeout : *drain_deadline_);
  }
  if (state_ != State::kOnline || finished_) return due;
  due = std::min(due, next_heartbeat_);
  for (const LeaseKey& key : reported_) {
    const auto it = leases_.find(key);
    if (it != leases_.end()) {
      due = std::min(due, it->second.report.last_sent + options_.progress_interval);
    }
  }
  return due;
}

absl::Duration WorkerSession::GiveUpAt() const {
  if (state_ == State::kGreeting) return welcome_by_;
  if (state_ != State::kOnline || !acks_heartbeats_) return absl::InfiniteDuration();
  return last_heard_ + kSilentIntervalsCount * heartbeat_interval_;
}

}  // namespace slipstream::worker_client
