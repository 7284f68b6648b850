// Server adapters: a service's overrides hand their call to an Endpoint, which runs the chain and
// then the handler. One include for a *_service.cc; keep it out of other headers, gRPC is heavy.
//
//   grpc::ServerUnaryReactor* GetTask(grpc::CallbackServerContext* context,
//                                     const GetTaskRequest* request, Task* response) override {
//     return rpc_.Unary("GetTask", context, request, response,
//                       [this](rpc::CallContext& call, const GetTaskRequest& q, Task* p) {
//                         return HandleGetTask(call, q, p);
//                       });
//   }
//
// A handler that returns absl::Status runs inline on the gRPC thread and must not wait; one that
// returns Async<absl::Status> is a coroutine. That of a unary call begins on the gRPC thread too
// and goes on on the runtime's executor once it has waited; that of a stream is on the executor
// from its beginning.
//
// Thread safety: an Endpoint is immutable; handlers of different calls run at the same time.
#ifndef LIBS_RPC_HANDLER_H_
#define LIBS_RPC_HANDLER_H_

#include <grpcpp/support/server_callback.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include "libs/async/start.h"
#include "libs/async/suspend.h"
#include "libs/rpc/arena_messages.h"
#include "libs/rpc/send_queue.h"
#include "libs/rpc/server_call.h"

namespace slipstream::rpc {

// The stream that a server-streaming handler writes to.
template <class Response>
class Sender {
 public:
  virtual ~Sender() = default;
  virtual bool Send(Response message) = 0;                         // see SendQueue::Send
  virtual bool Send(std::shared_ptr<const Response> message) = 0;  // the same, without a move
  virtual Async<bool> Write(Response message) = 0;                 // see SendQueue::Write
};

// The stream that a client-streaming handler reads from. One Read at a time.
template <class Request>
class Receiver {
 public:
  virtual ~Receiver() = default;
  // Null: the client has sent its last message, or is gone (CallContext::cancelled tells).
  virtual Async<std::shared_ptr<Request>> Read() = 0;
  // A Read that waits, and every later one, answers null: for a server that ends the call while
  // the client would go on. From any thread.
  virtual void Stop() = 0;
};

// What a client-streaming handler reads from.
template <class Request>
class UploadReceiver : public Receiver<Request> {
 public:
  // Once Read has answered null: true when the client has ended its side and waits for the
  // answer, false when it is gone. Asked before anything is kept for good, because a stream that
  // broke ends like one that is complete, and CallContext::cancelled may be told later. Sends the
  // initial metadata, which fails exactly when the stream is closed.
  virtual Async<bool> ClientWaits() = 0;
};

namespace internal {

// What every reactor has: its call, and a hold on itself until gRPC is done with it. The coroutine
// that runs the handler holds it too, so it lives until both have ended.
template <class GrpcReactor>
class CallReactor : public GrpcReactor,
                    public std::enable_shared_from_this<CallReactor<GrpcReactor>> {
 public:
  CallReactor(const Dispatcher& d, const Method& m, grpc::CallbackServerContext* c)
      : call_(d, m, c) {}
  void Start() { self_ = this->shared_from_this(); }
  CallContext& context() { return call_.context(); }
  absl::Status Begin() { return call_.Begin(); }
  void End(const absl::Status& status) { this->Finish(call_.End(status)); }
  void OnCancel() override { call_.context().Cancel(); }
  void OnDone() override { auto self = std::move(self_); }

 protected:
  ServerCall call_;

 private:
  std::shared_ptr<CallReactor> self_;
};

inline void RethrowIfAny(std::exception_ptr error) {
  if (error) std::rethrow_exception(error);
}

template <class Request>
class ReadSlot {
 public:
  template <class StartRead>
  Async<std::shared_ptr<Request>> Read(StartRead start_read) {
    // Here until gRPC has filled it.
    std::shared_ptr<Request> message = MakeArenaMessage<Request>();
    const bool ok = co_await async::Suspend<bool>([&](async::Resume<bool> resume) {
      {
        sync::MutexLock lock(mutex_);
        if (!ended_) {
          resume_ = std::move(resume);
          message_ = message;
          // Under the lock, so that a Stop comes before or after it and the reactor cannot end in
          // between. gRPC does not call back from inside a start.
          start_read(message.get());
        }
      }
      if (resume) resume(false);
    });
    co_return ok ? std::move(message) : nullptr;
  }
  void OnReadDone(bool ok) {
    async::Resume<bool> resume;
    {
      sync::MutexLock lock(mutex_);
      if (!ok) ended_ = true;
      resume = std::move(resume_);
    }
    if (resume) resume(ok);
  }
  void Stop() { OnReadDone(false); }

 private:
  // The last one: after a Stop gRPC may still be about to fill it.
  std::shared_ptr<Request> message_;
  sync::Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  async::Resume<bool> resume_ ABSL_GUARDED_BY(mutex_);
};

// Of a unary call: nothing is told of it once it has been finished, so it needs no count of who
// holds it and goes with OnDone. REQUIRES: whoever calls End does not touch it afterwards.
class UnaryReactor final : public grpc::ServerUnaryReactor {
 public:
  UnaryReactor(const Dispatcher& d, const Method& m, grpc::CallbackServerContext* c)
      : call_(d, m, c) {}
  CallContext& context() { return call_.context(); }
  absl::Status Begin() { return call_.Begin(); }
  void End(const absl::Status& status) { Finish(call_.End(status)); }
  void OnCancel() override { call_.context().Cancel(); }
  void OnDone() override { delete this; }
  // OnDone and OnCancel wait for nothing, so gRPC need not hand each call's end to another thread.
  bool InternalInlineable() override { return true; }

 private:
  ServerCall call_;
};

// A reactor that writes: through a queue, and it finishes when the queue has been written.
template <class GrpcReactor, class Response>
class SendingReactor : public CallReactor<GrpcReactor>, public Sender<Response> {
 public:
  SendingReactor(const Dispatcher& d, const Method& m, grpc::CallbackServerContext* c)
      : CallReactor<GrpcReactor>(d, m, c),
        queue_([this](const Response* r) { this->StartWrite(r); },
               [this] { this->Finish(final_status_); }) {}
  void End(const absl::Status& status) {
    final_status_ = this->call_.End(status);
    queue_.Finish();
  }
  bool Send(Response message) override { return queue_.Send(std::move(message)); }
  bool Send(std::shared_ptr<const Response> message) override {
    return queue_.Send(std::move(message));
  }
  Async<bool> Write(Response message) override { return queue_.Write(std::move(message)); }
  void OnWriteDone(bool ok) override { queue_.OnWriteDone(ok); }
  void OnCancel() override {
    queue_.Close();
    CallReactor<GrpcReactor>::OnCancel();
  }

 private:
  grpc::Status final_status_;
  SendQueue<Response> queue_;
};

template <class Response>
using WriteReactor = SendingReactor<grpc::ServerWriteReactor<Response>, Response>;

template <class Request>
class ReadReactor final : public CallReactor<grpc::ServerReadReactor<Request>>,
                          public UploadReceiver<Request> {
 public:
  using CallReactor<grpc::ServerReadReactor<Request>>::CallReactor;
  Async<std::shared_ptr<Request>> Read() override {
    return slot_.Read([this](Request* r) { this->StartRead(r); });
  }
  void Stop() override { slot_.Stop(); }
  Async<bool> ClientWaits() override {
    co_return co_await async::Suspend<bool>([&](async::Resume<bool> resume) {
      metadata_sent_ = std::move(resume);
      this->StartSendInitialMetadata();
    });
  }
  void OnSendInitialMetadataDone(bool ok) override { metadata_sent_(ok); }
  void OnReadDone(bool ok) override { slot_.OnReadDone(ok); }

 private:
  ReadSlot<Request> slot_;
  async::Resume<bool> metadata_sent_;  // set before the send is started, used once after it
};

template <class Request, class Response>
class BidiReactor final
    : public SendingReactor<grpc::ServerBidiReactor<Request, Response>, Response>,
      public Receiver<Request> {
 public:
  using SendingReactor<grpc::ServerBidiReactor<Request, Response>, Response>::SendingReactor;
  Async<std::shared_ptr<Request>> Read() override {
    return slot_.Read([this](Request* r) { this->StartRead(r); });
  }
  void Stop() override { slot_.Stop(); }
  void OnReadDone(bool ok) override { slot_.OnReadDone(ok); }

 private:
  ReadSlot<Request> slot_;
};

}  // namespace internal

class Endpoint {
 public:
  Endpoint(const Dispatcher& dispatcher, MethodTable methods)
      : dispatcher_(dispatcher), methods_(std::move(methods)) {}

  template <class Request, class Response, class Handler>
  grpc::ServerUnaryReactor* Unary(std::string_view method, grpc::CallbackServerContext* context,
                                  const Request* request, Response* response, Handler handler) {
    return Unary(methods_[method], context, request, response, std::move(handler));
  }

  // The same for a method that was looked up once (see Find), as those are that are called most.
  template <class Request, class Response, class Handler>
  grpc::ServerUnaryReactor* Unary(const Method& method, grpc::CallbackServerContext* context,
                                  const Request* request, Response* response, Handler handler) {
    auto* reactor = new internal::UnaryReactor(dispatcher_, method, context);  // goes with OnDone
    if (absl::Status refused = reactor->Begin(); !refused.ok()) {
      reactor->End(refused);
      return reactor;
    }
    using Result = std::invoke_result_t<Handler, CallContext&, const Request&, Response*>;
    if constexpr (std::is_same_v<Result, absl::Status>) {
      reactor->End(handler(reactor->context(), *request, response));
    } else {
      async::Start(dispatcher_.executor,
                   [h = std::move(handler), reactor, request, response]() mutable -> Async<void> {
                     reactor->End(co_await h(reactor->context(), *request, response));
                   });
    }
    return reactor;
  }

  // For a call that is mostly answered from memory. `now`: bool(CallContext&, const Request&,
  // Response*, absl::Status*), runs inline as above; false: it has written nothing and `later`
  // runs, which is a handler that returns Async<absl::Status>.
  template <class Request, class Response, class Now, class Later>
  grpc::ServerUnaryReactor* UnaryNowOrLater(const Method& method,
                                            grpc::CallbackServerContext* context,
                                            const Request* request, Response* response, Now now,
                                            Later later) {
    auto* reactor = new internal::UnaryReactor(dispatcher_, method, context);  // goes with OnDone
    absl::Status status = reactor->Begin();
    if (!status.ok() || now(reactor->context(), *request, response, &status)) {
      reactor->End(status);
      return reactor;
    }
    async::Start(dispatcher_.executor,
                 [h = std::move(later), reactor, request, response]() mutable -> Async<void> {
                   reactor->End(co_await h(reactor->context(), *request, response));
                 });
    return reactor;
  }

  // The method of that name, for a service to look up once.
  const Method& Find(std::string_view method) const { return methods_[method]; }

  // handler: Async<absl::Status>(CallContext&, const Request&, Sender<Response>&)
  template <class Response, class Request, class Handler>
  grpc::ServerWriteReactor<Response>* ServerStream(std::string_view method,
                                                   grpc::CallbackServerContext* context,
                                                   const Request* request, Handler handler) {
    auto run = [q = *request](auto& h, auto& r) -> Async<absl::Status> {
      return h(r.context(), q, static_cast<Sender<Response>&>(r));
    };
    return Stream<internal::WriteReactor<Response>>(method, context, std::move(handler),
                                                    std::move(run));
  }

  // handler: Async<absl::Status>(CallContext&, UploadReceiver<Request>&, Response*)
  template <class Request, class Response, class Handler>
  grpc::ServerReadReactor<Request>* ClientStream(std::string_view method,
                                                 grpc::CallbackServerContext* context,
                                                 Response* response, Handler handler) {
    auto run = [response](auto& h, auto& r) -> Async<absl::Status> {
      return h(r.context(), static_cast<UploadReceiver<Request>&>(r), response);
    };
    return Stream<internal::ReadReactor<Request>>(method, context, std::move(handler),
                                                  std::move(run));
  }

  // handler: Async<absl::Status>(CallContext&, Receiver<Request>&, Sender<Response>&)
  template <class Request, class Response, class Handler>
  grpc::ServerBidiReactor<Request, Response>* BidiStream(std::string_view method,
                                                         grpc::CallbackServerContext* context,
                                                         Handler handler) {
    auto run = [](auto& h, auto& r) -> Async<absl::Status> {
      return h(r.context(), static_cast<Receiver<Request>&>(r), static_cast<Sender<Response>&>(r));
    };
    return Stream<internal::BidiReactor<Request, Response>>(method, context, std::move(handler),
                                                            std::move(run));
  }

 private:
  template <class Reactor, class Handler, class Run>
  Reactor* Stream(std::string_view method, grpc::CallbackServerContext* context, Handler handler,
                  Run run) {
    auto reactor = std::make_shared<Reactor>(dispatcher_, methods_[method], context);
    auto* raw = reactor.get();
    reactor->Start();
    if (absl::Status refused = reactor->Begin(); !refused.ok()) {
      reactor->End(refused);
      return raw;
    }
    auto drive = [](auto h, auto f, auto r) -> Async<void> { r->End(co_await f(h, *r)); };
    boost::asio::co_spawn(dispatcher_.executor,
                          drive(std::move(handler), std::move(run), std::move(reactor)),
                          internal::RethrowIfAny);
    return raw;
  }

  const Dispatcher& dispatcher_;
  const MethodTable methods_;
};

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_HANDLER_H_
