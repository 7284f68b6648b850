// The sending half of a worker's stream, as WorkerSessions uses it.
//
// It outlives the stream: after Detach nothing is sent. Messages before Open wait, so that the
// welcome is always the first.
//
// Thread safety: all methods from any thread. Sends are made under the mutex, which keeps their
// order and the stream's life; they only queue.
#ifndef SERVICES_TASK_QUEUE_WORKER_STREAM_H_
#define SERVICES_TASK_QUEUE_WORKER_STREAM_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "libs/rpc/handler.h"
#include "services/task_queue/task_proto.h"
#include "services/task_queue/worker_sessions.h"
#include "slipstream/task_queue/v1/worker.pb.h"

namespace slipstream::task_queue {

class WorkerStream final : public WorkerSink {
 public:
  static constexpr size_t kMaxBatchCount = 256;
  // A batch ends with the message that reaches it. Well under the limit of a message.
  static constexpr size_t kMaxBatchBytes = 2 << 20;

  WorkerStream(rpc::Sender<v1::WorkResponse>& out, const v1::WorkRequest::Hello& hello,
               std::function<void()> cancel)
      : accepts_batches_(hello.accepts_batches()),
        accepts_heartbeat_acks_(hello.accepts_heartbeat_acks()),
        out_(&out),
        cancel_(std::move(cancel)) {}

  // The welcome goes out, and what has waited for it.
  void Open(v1::WorkResponse welcome) {
    sync::MutexLock lock(mu_);
    opened_ = true;
    SendNow(std::make_shared<const v1::WorkResponse>(std::move(welcome)));
    for (auto& message : std::exchange(waiting_, {})) SendNow(std::move(message));
  }
  void Detach() {
    sync::MutexLock lock(mu_);
    out_ = nullptr;
    cancel_ = nullptr;
  }
  // `fill` makes one of so many messages. As batches when the worker takes those. False: some were
  // not sent.
  bool Send(size_t count, absl::FunctionRef<void(size_t i, v1::WorkResponse* out)> fill);

  void AckHeartbeat() {
    if (!accepts_heartbeat_acks_) return;
    Send(1, [](size_t, v1::WorkResponse* out) { out->mutable_heartbeat_ack(); });
  }
  bool Assign(const std::vector<TaskRecord>& tasks) override {
    return Send(tasks.size(), [&](size_t i, v1::WorkResponse* out) {
      ToProto(tasks[i], out->mutable_assignment());
    });
  }
  void Cancel(const LeaseKey& lease, std::string_view reason) override {
    Send(1, [&](size_t, v1::WorkResponse* out) {
      out->mutable_cancel()->set_task_id(lease.task_id);
      out->mutable_cancel()->set_lease_epoch(lease.epoch);
      out->mutable_cancel()->set_reason(std::string(reason));
    });
  }
  void Drain(absl::Duration grace) override {
    Send(1, [&](size_t, v1::WorkResponse* out) {
      out->mutable_drain()->set_grace_ms(static_cast<int>(absl::ToInt64Milliseconds(grace)));
    });
  }
  void Close() override {
    sync::MutexLock lock(mu_);
    if (cancel_) cancel_();
  }

 private:
  using Message = std::shared_ptr<const v1::WorkResponse>;
  bool SendOne(Message message) {
    sync::MutexLock lock(mu_);
    return SendNow(std::move(message));
  }
  bool SendNow(Message message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (out_ == nullptr) return false;
    if (opened_) return out_->Send(std::move(message));
    waiting_.push_back(std::move(message));
    return true;
  }

  const bool accepts_batches_;
  const bool accepts_heartbeat_acks_;
  sync::Mutex mu_;
  rpc::Sender<v1::WorkResponse>* out_ ABSL_GUARDED_BY(mu_);
  std::function<void()> cancel_ ABSL_GUARDED_BY(mu_);
  bool opened_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<Message> waiting_ ABSL_GUARDED_BY(mu_);  // bounded by the worker's slots
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_WORKER_STREAM_H_
