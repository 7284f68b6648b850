// The half of WorkerSession that speaks: the hello and what is sent on a stream, batched.
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>

#include "libs/client/worker/worker_session.h"

namespace slipstream::worker_client {

namespace {

using WorkRequest = WorkerSession::WorkRequest;

// Of a field whose value has a length, as https://protobuf.dev/programming-guides/encoding says.
void AppendFieldHead(int number, size_t bytes_count, std::string* out) {
  using google::protobuf::internal::WireFormatLite;
  using google::protobuf::io::CodedOutputStream;
  uint8_t head[10];
  uint8_t* end = CodedOutputStream::WriteTagToArray(
      WireFormatLite::MakeTag(number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED), head);
  end = CodedOutputStream::WriteVarint32ToArray(static_cast<uint32_t>(bytes_count), end);
  out->append(reinterpret_cast<const char*>(head), static_cast<size_t>(end - head));
}

// As few messages as the bounds of a batch allow, in order. All are serialized, so a batch is put
// together from them without looking into any.
std::vector<std::string> Batched(std::vector<std::string> requests) {
  if (requests.size() < 2) return requests;
  std::vector<std::string> out;
  std::string batch;
  int count = 0;
  size_t requests_bytes = 0;
  const auto end_batch = [&] {
    std::string& message = out.emplace_back();
    message.reserve(batch.size() + 10);
    AppendFieldHead(WorkRequest::kBatchFieldNumber, batch.size(), &message);
    message += batch;
    batch.clear();
    count = 0;
    requests_bytes = 0;
  };
  for (const std::string& request : requests) {
    if (count > 0 &&
        (count >= kMaxBatchCount || requests_bytes + request.size() > kMaxBatchBytes)) {
      end_batch();
    }
    AppendFieldHead(WorkRequest::Batch::kRequestsFieldNumber, request.size(), &batch);
    batch += request;
    requests_bytes += request.size();
    ++count;
  }
  end_batch();
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
