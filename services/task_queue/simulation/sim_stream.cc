#include "services/task_queue/simulation/sim_stream.h"

#include <algorithm>
#include <utility>

namespace slipstream::task_queue::simulation {

namespace {

WorkResponse ToAssignment(const TaskRecord& task) {
  WorkResponse response;
  auto& out = *response.mutable_assignment();
  out.set_task_id(task.task_id);
  out.set_task_type(task.task_type);
  out.mutable_args()->ParseFromString(*task.args);
  out.set_lease_epoch(task.lease_epoch);
  out.set_attempt(task.attempt);
  out.set_max_attempts(task.max_attempts);
  const int64_t nanos = absl::ToUnixNanos(task.attempt_deadline_at);
  out.mutable_deadline()->set_seconds(nanos / 1'000'000'000);
  out.mutable_deadline()->set_nanos(static_cast<int>(nanos % 1'000'000'000));
  out.set_owner(task.owner);
  out.set_tenant(task.tenant);
  return response;
}

}  // namespace

template <class T>
absl::Duration SimStream::Delay(Side<T>& side) {
  const bool slow = scheduler_.Chance(0.05);
  const absl::Time at =
      scheduler_.now() + scheduler_.Between(absl::Microseconds(50),
                                            slow ? absl::Milliseconds(80) : absl::Milliseconds(2));
  side.next = std::max(side.next, at);
  return side.next - scheduler_.now();
}

void SimStream::SendToServer(WorkRequest request, absl::Duration later) {
  if (broken_) return;
  // What is repeated later overtakes nothing: it is one more message then.
  const absl::Duration delay = later > absl::ZeroDuration() ? later : Delay(server_);
  scheduler_.After(server_.owner, delay,
                   [self = shared_from_this(), request = std::move(request)]() mutable {
                     if (self->broken_ || self->server_.gone) return;
                     self->server_.end->OnRequest(self, std::move(request));
                   });
}

void SimStream::Open(WorkResponse welcome) {
  opened_ = true;
  opened_at_ = scheduler_.now();
  SendToWorker(std::move(welcome));
  for (WorkResponse& response : std::exchange(waiting_, {})) SendToWorker(std::move(response));
}

bool SimStream::SendToWorker(WorkResponse response) {
  if (server_.gone) return false;
  if (!opened_) {
    waiting_.push_back(std::move(response));
    return true;
  }
  if (broken_) return true;  // written to a buffer that nobody reads
  scheduler_.After(worker_.owner, Delay(worker_),
                   [self = shared_from_this(), response = std::move(response)]() mutable {
                     if (self->broken_ || self->worker_.gone) return;
                     self->worker_.end->OnResponse(self, std::move(response));
                   });
  return true;
}

bool SimStream::Assign(const std::vector<TaskRecord>& tasks) {
  bool sent = true;
  for (const TaskRecord& task : tasks) sent = SendToWorker(ToAssignment(task)) && sent;
  return sent;
}

void SimStream::Cancel(const LeaseKey& lease, std::string_view reason) {
  WorkResponse response;
  response.mutable_cancel()->set_task_id(lease.task_id);
  response.mutable_cancel()->set_lease_epoch(lease.epoch);
  response.mutable_cancel()->set_reason(std::string(reason));
  SendToWorker(std::move(response));
}

void SimStream::Drain(absl::Duration grace) {
  WorkResponse response;
  response.mutable_drain()->set_grace_ms(static_cast<int>(absl::ToInt64Milliseconds(grace)));
  SendToWorker(std::move(response));
}

// --- ends

template <class T>
void SimStream::Tell(Side<T>& side) {
  if (side.gone) return;
  side.gone = true;
  scheduler_.After(side.owner, scheduler_.Between(absl::Microseconds(50), absl::Milliseconds(40)),
                   [self = shared_from_this(), &side] { side.end->OnGone(self); });
}

void SimStream::Close() {
  broken_ = true;  // what is on its way is lost
  Tell(worker_);
  Tell(server_);
}

void SimStream::Break(bool server_hears) {
  broken_ = true;
  Tell(worker_);
  if (server_hears) Tell(server_);
}

void SimStream::WorkerDied(bool server_hears) {
  worker_.gone = true;
  broken_ = true;
  if (server_hears) Tell(server_);
}

void SimStream::ServerDied() {
  server_.gone = true;
  broken_ = true;
  Tell(worker_);
}

}  // namespace slipstream::task_queue::simulation
