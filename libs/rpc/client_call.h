// Calls to other services from coroutines. One include for the file that makes the call; keep it
// out of other headers, gRPC is heavy.
//
//   auto task = co_await rpc::CallUnary<Task>(options,
//       [&](grpc::ClientContext* c, Task* out, auto done) {
//         stub->async()->SubmitTask(c, &request, out, std::move(done));
//       });
//
// Thread safety: the functions may be called from any coroutine. A BidiCall is used by one reader
// and any number of senders.
#ifndef LIBS_RPC_CLIENT_CALL_H_
#define LIBS_RPC_CLIENT_CALL_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/client_callback.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "libs/async/suspend.h"
#include "libs/rpc/arena_messages.h"
#include "libs/rpc/call_options.h"
#include "libs/rpc/send_queue.h"
#include "libs/rpc/status_convert.h"

namespace slipstream::rpc {

// Sets deadline, token and metadata. Shared by the unary and the streaming calls.
void Apply(const CallOptions& options, grpc::ClientContext* context);

template <class Response, class Start>
Async<absl::StatusOr<Response>> CallUnary(const CallOptions& options, Start start) {
  // On this frame: it stays until the callback resumes it.
  auto context = std::make_shared<grpc::ClientContext>();
  Response response;
  Apply(options, context.get());
  if (options.parent != nullptr) {
    options.parent->OnCancel([weak = std::weak_ptr<grpc::ClientContext>(context)] {
      if (auto c = weak.lock()) c->TryCancel();
    });
  }
  const grpc::Status status =
      co_await async::Suspend<grpc::Status>([&](async::Resume<grpc::Status> resume) {
        // std::function wants a copyable callback.
        auto shared = std::make_shared<async::Resume<grpc::Status>>(std::move(resume));
        start(context.get(), &response, [shared](grpc::Status s) { (*shared)(std::move(s)); });
      });
  if (!status.ok()) co_return FromGrpc(status);
  co_return std::move(response);
}

// A stream in both directions. Server-streaming and client-streaming methods are the same on the
// wire, so this one class serves all three kinds: `method` is "/package.Service/Method".
//
// Life: Start, then Read until nullopt, then status(). Send any time between Start and SendsDone.
// The owner keeps it until Read has answered nullopt (Cancel makes that soon).
template <class Request, class Response>
class BidiCall : public std::enable_shared_from_this<BidiCall<Request, Response>> {
 public:
  static std::shared_ptr<BidiCall> Start(std::shared_ptr<grpc::Channel> channel,
                                         const std::string& method, const CallOptions& options) {
    auto call = std::shared_ptr<BidiCall>(new BidiCall(std::move(channel)));
    Apply(options, &call->context_);
    if (options.parent != nullptr) {
      options.parent->OnCancel([weak = std::weak_ptr<BidiCall>(call)] {
        if (auto c = weak.lock()) c->Cancel();
      });
    }
    call->reactor_.self = call;
    call->stub_.PrepareBidiStreamingCall(&call->context_, method, {}, &call->reactor_);
    // Sends may come long after the last read; the hold keeps the call open for them.
    call->reactor_.AddHold();
    call->reactor_.StartCall();
    return call;
  }

  bool Send(Request message) { return queue_.Send(std::move(message)); }
  Async<bool> Write(Request message) { return queue_.Write(std::move(message)); }
  // No more messages from this side.
  void SendsDone() { queue_.Finish(); }
  void Cancel() { context_.TryCancel(); }

  // nullopt: the call has ended, and status() says how.
  Async<std::optional<Response>> Read() {
    if (co_await ReadInto(&incoming_)) co_return std::move(incoming_);
    co_return std::nullopt;
  }
  // The same for messages of many parts, on an arena that lives as long as the message; null: the
  // call has ended.
  Async<std::shared_ptr<Response>> ReadOnArena() {
    // Kept here, and not by the coroutine alone: gRPC fills it, whatever has become of that.
    on_arena_ = MakeArenaMessage<Response>();
    const bool ok = co_await ReadInto(on_arena_.get());
    std::shared_ptr<Response> message = std::move(on_arena_);
    co_return ok ? std::move(message) : nullptr;
  }

  absl::Status status() const {
    sync::MutexLock lock(end_->mutex);
    return end_->status;
  }
  bool ended() const {
    sync::MutexLock lock(end_->mutex);
    return end_->ended;
  }
  // Initial metadata is valid after the first Read, trailers once ended.
  const grpc::ClientContext& context() const { return context_; }

 private:
  // Outlives the call for as long as gRPC's last callback needs it.
  struct End {
    async::Event event;
    sync::Mutex mutex;
    absl::Status status ABSL_GUARDED_BY(mutex);
    bool ended ABSL_GUARDED_BY(mutex) = false;
  };

  struct Reactor final : grpc::ClientBidiReactor<Request, Response> {
    explicit Reactor(BidiCall* c) : call(c) {}
    void OnReadDone(bool ok) override { call->OnReadDone(ok); }
    void OnWriteDone(bool ok) override { call->queue_.OnWriteDone(ok); }
    void OnDone(const grpc::Status& s) override {
      auto end = call->end_;
      call->queue_.Close();
      // Before the end is told: who waits for it may then drop the call, and the channel with it,
      // on a thread of its own. On this one it must not go, because the last channel of a process
      // joins gRPC's callback threads.
      auto keep = std::move(self);
      keep.reset();
      {
        sync::MutexLock lock(end->mutex);
        end->status = FromGrpc(s);
        end->ended = true;
      }
      end->event.Notify();
    }
    BidiCall* const call;
    std::shared_ptr<BidiCall> self;  // until gRPC is done with the reactor
  };

  explicit BidiCall(std::shared_ptr<grpc::Channel> channel)
      : stub_(std::move(channel)),
        reactor_(this),
        queue_([this](const Request* r) { reactor_.StartWrite(r); },
               [this] { StartWritesDone(); }) {}

  // False: the call has ended.
  Async<bool> ReadInto(Response* message) {
    const bool ok = co_await async::Suspend<bool>([this, message](async::Resume<bool> resume) {
      {
        sync::MutexLock lock(mutex_);
        read_ = std::move(resume);
      }
      reactor_.StartRead(message);
    });
    if (ok) co_return true;
    queue_.Close();
    ReleaseHold();
    for (uint64_t version = end_->event.version(); !ended(); version = end_->event.version()) {
      co_await end_->event.Wait(version);
    }
    co_return false;
  }

  void StartWritesDone() {
    // Under the lock: once the hold is released the call may be over, and gRPC's half of it freed.
    sync::MutexLock lock(mutex_);
    if (!released_) reactor_.StartWritesDone();
  }
  void ReleaseHold() {
    {
      sync::MutexLock lock(mutex_);
      if (released_) return;
      released_ = true;
    }
    reactor_.RemoveHold();
  }
  void OnReadDone(bool ok) {
    async::Resume<bool> resume;
    {
      sync::MutexLock lock(mutex_);
      resume = std::move(read_);
    }
    if (resume) resume(ok);
  }
  grpc::ClientContext context_;
  grpc::TemplatedGenericStub<Request, Response> stub_;
  Response incoming_;
  std::shared_ptr<Response> on_arena_;
  const std::shared_ptr<End> end_ = std::make_shared<End>();
  mutable sync::Mutex mutex_;
  async::Resume<bool> read_ ABSL_GUARDED_BY(mutex_);
  bool released_ ABSL_GUARDED_BY(mutex_) = false;
  Reactor reactor_;
  SendQueue<Request> queue_;
};

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_CLIENT_CALL_H_
