// The adapters over a real server and a real channel on loopback.
#include <grpcpp/grpcpp.h>

#include <future>
#include <memory>
#include <thread>

#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/async/scope.h"
#include "libs/clock/clock.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/client_call.h"
#include "libs/rpc/handler.h"
#include "libs/rpc/server.h"
#include "libs/status/status.h"
#include "slipstream/artifact/v1/artifact.grpc.pb.h"
#include "slipstream/notification/v1/notification.grpc.pb.h"

namespace slipstream::rpc {
namespace {

namespace nv = slipstream::notification::v1;
namespace av = slipstream::artifact::v1;

// Refuses when told to, and remembers how calls ended.
class ProbeStage final : public Stage {
 public:
  std::string_view name() const override { return "probe"; }
  absl::Status Begin(CallContext& call) override {
    if (call.metadata("x-refuse") == "yes") return absl::UnauthenticatedError("refused");
    call.AddTrailer("x-seen", "1");
    return absl::OkStatus();
  }
  void End(CallContext& call, const absl::Status& status) override {
    sync::MutexLock lock(mutex_);
    ended_.push_back(call.method().name + ":" + absl::StatusCodeToString(status.code()));
  }
  std::vector<std::string> ended() {
    sync::MutexLock lock(mutex_);
    return ended_;
  }

 private:
  sync::Mutex mutex_;
  std::vector<std::string> ended_ ABSL_GUARDED_BY(mutex_);
};

class Notifications final : public nv::NotificationService::CallbackService {
 public:
  explicit Notifications(const Dispatcher& d)
      : rpc_(d, *MethodTable::ForService("slipstream.notification.v1.NotificationService")) {}

  // Inline.
  grpc::ServerUnaryReactor* GetStats(grpc::CallbackServerContext* c, const nv::GetStatsRequest* q,
                                     nv::NotificationStats* p) override {
    return rpc_.Unary("GetStats", c, q, p,
                      [](CallContext&, const nv::GetStatsRequest&, nv::NotificationStats*) {
                        return status::Error(absl::StatusCode::kNotFound, "NOTHING_HERE", "none",
                                             {{"key", "value"}});
                      });
  }
  // A coroutine that waits.
  grpc::ServerUnaryReactor* Publish(grpc::CallbackServerContext* c, const nv::PublishRequest* q,
                                    nv::PublishResponse* p) override {
    return rpc_.Unary("Publish", c, q, p,
                      [](CallContext& call, const nv::PublishRequest& q,
                         nv::PublishResponse* p) -> Async<absl::Status> {
                        p->set_event_id("for " + q.channel());
                        if (q.channel() != "wait") co_return absl::OkStatus();
                        async::Event cancelled;
                        const uint64_t version = cancelled.version();
                        call.OnCancel([&] { cancelled.Notify(); });
                        co_await cancelled.Wait(version);
                        co_return absl::CancelledError("the caller went away");
                      });
  }
  grpc::ServerWriteReactor<nv::Event>* Subscribe(grpc::CallbackServerContext* c,
                                                 const nv::SubscribeRequest* q) override {
    return rpc_.ServerStream<nv::Event>("Subscribe", c, q,
                                        [](CallContext&, const nv::SubscribeRequest& q,
                                           Sender<nv::Event>& out) -> Async<absl::Status> {
                                          const int count = std::atoi(q.cursor().c_str());
                                          for (int i = 0; i < count; ++i) {
                                            nv::Event event;
                                            event.set_event_id(std::to_string(i));
                                            if (!co_await out.Write(std::move(event)))
                                              co_return absl::CancelledError("gone");
                                          }
                                          co_return absl::OkStatus();
                                        });
  }
  grpc::ServerBidiReactor<nv::AttachRequest, nv::AttachResponse>* Attach(
      grpc::CallbackServerContext* c) override {
    return rpc_.BidiStream<nv::AttachRequest, nv::AttachResponse>(
        "Attach", c,
        [](CallContext&, Receiver<nv::AttachRequest>& in,
           Sender<nv::AttachResponse>& out) -> Async<absl::Status> {
          while (auto request = co_await in.Read()) {
            if (!co_await out.Write(nv::AttachResponse())) break;
          }
          co_return absl::OkStatus();
        });
  }

 private:
  Endpoint rpc_;
};

class Artifacts final : public av::ArtifactService::CallbackService {
 public:
  explicit Artifacts(const Dispatcher& d)
      : rpc_(d, *MethodTable::ForService("slipstream.artifact.v1.ArtifactService")) {}
  grpc::ServerReadReactor<av::UploadArtifactRequest>* UploadArtifact(grpc::CallbackServerContext* c,
                                                                     av::Artifact* p) override {
    return rpc_.ClientStream<av::UploadArtifactRequest>(
        "UploadArtifact", c, p,
        [](CallContext&, Receiver<av::UploadArtifactRequest>& in,
           av::Artifact* p) -> Async<absl::Status> {
          std::string all;
          while (auto request = co_await in.Read()) all += request->body().data();
          p->set_name(all);
          co_return absl::OkStatus();
        });
  }

 private:
  Endpoint rpc_;
};

class RpcTest : public testing::Test {
 protected:
  RpcTest() {
    std::vector<std::unique_ptr<Stage>> stages;
    auto probe = std::make_unique<ProbeStage>();
    probe_ = probe.get();
    stages.push_back(std::move(probe));
    chain_ = std::make_unique<Chain>(std::move(stages));
    dispatcher_ = std::make_unique<Dispatcher>(Dispatcher{*chain_, runtime_.executor(), clock_});
    notifications_ = std::make_unique<Notifications>(*dispatcher_);
    artifacts_ = std::make_unique<Artifacts>(*dispatcher_);
    server_ = std::make_unique<Server>(ServerOptions{.reflection = true, .channelz = true});
    server_->AddService(notifications_.get());
    server_->AddService(artifacts_.get());
    EXPECT_TRUE(server_->Start().ok());
    server_->SetServing(true);
    channel_ = MakeChannel(server_->LocalAddress());
    stub_ = nv::NotificationService::NewStub(channel_);
  }
  ~RpcTest() override {
    server_->Shutdown(absl::ZeroDuration());
    scope_.Close();
  }

  template <class T>
  T Run(std::function<Async<T>()> coroutine) {
    std::promise<T> result;
    scope_.Spawn([&]() -> Async<void> { result.set_value(co_await coroutine()); });
    return result.get_future().get();
  }
  absl::StatusOr<nv::PublishResponse> Publish(const std::string& channel, CallOptions options) {
    nv::PublishRequest request;
    request.set_channel(channel);
    using Result = absl::StatusOr<nv::PublishResponse>;
    return Run<Result>([&]() -> Async<Result> {
      co_return co_await CallUnary<nv::PublishResponse>(options, [&](auto* c, auto* p, auto done) {
        stub_->async()->Publish(c, &request, p, std::move(done));
      });
    });
  }

  clock::SystemClock clock_;
  async::Runtime runtime_{2};
  async::Scope scope_{runtime_.executor()};
  ProbeStage* probe_ = nullptr;
  std::unique_ptr<Chain> chain_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::unique_ptr<Notifications> notifications_;
  std::unique_ptr<Artifacts> artifacts_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<nv::NotificationService::Stub> stub_;
};

TEST_F(RpcTest, InlineUnaryCarriesErrorDetails) {
  grpc::ClientContext context;
  nv::NotificationStats stats;
  const absl::Status status = FromGrpc(stub_->GetStats(&context, {}, &stats));
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status::Reason(status), "NOTHING_HERE");
  EXPECT_EQ(status::Metadata(status, "key"), "value");
  EXPECT_EQ(context.GetServerTrailingMetadata().count("x-seen"), 1u);
}

TEST_F(RpcTest, CoroutineUnaryAnswers) {
  auto response = Publish("user:alice", {});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->event_id(), "for user:alice");
}

TEST_F(RpcTest, RefusedByTheChainNeverReachesTheHandler) {
  CallOptions options;
  options.metadata.emplace_back("x-refuse", "yes");
  auto response = Publish("user:alice", options);
  EXPECT_EQ(response.status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(probe_->ended(), std::vector<std::string>{"Publish:UNAUTHENTICATED"});
  auto call = BidiCall<nv::AttachRequest, nv::AttachResponse>::Start(
      channel_, "/slipstream.notification.v1.NotificationService/Attach", options);
  EXPECT_FALSE(Run<bool>([&]() -> Async<bool> { co_return (co_await call->Read()).has_value(); }));
  EXPECT_EQ(call->status().code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(RpcTest, ClientDeadlineCancelsTheHandler) {
  CallOptions options;
  options.timeout = absl::Milliseconds(50);
  auto response = Publish("wait", options);
  EXPECT_EQ(response.status().code(), absl::StatusCode::kDeadlineExceeded);
  // The handler ends by itself: the server's shutdown below would hang otherwise.
  server_->Shutdown(absl::Seconds(10));
  EXPECT_EQ(probe_->ended(), std::vector<std::string>{"Publish:CANCELLED"});
}

TEST_F(RpcTest, ServerStreamKeepsOrderBeyondItsQueue) {
  grpc::ClientContext context;
  nv::SubscribeRequest request;
  request.set_cursor("3000");
  auto reader = stub_->Subscribe(&context, request);
  nv::Event event;
  int count = 0;
  while (reader->Read(&event)) EXPECT_EQ(event.event_id(), std::to_string(count++));
  EXPECT_EQ(count, 3000);
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(RpcTest, ServerStreamEndsWhenTheReaderGoes) {
  {
    grpc::ClientContext context;
    nv::SubscribeRequest request;
    request.set_cursor("100000000");
    auto reader = stub_->Subscribe(&context, request);
    nv::Event event;
    ASSERT_TRUE(reader->Read(&event));
    context.TryCancel();
    EXPECT_FALSE(reader->Finish().ok());
  }
  server_->Shutdown(absl::Seconds(10));
  EXPECT_EQ(probe_->ended(), std::vector<std::string>{"Subscribe:CANCELLED"});
}

TEST_F(RpcTest, BidiEchoesAndEndsOnSendsDone) {
  auto call = BidiCall<nv::AttachRequest, nv::AttachResponse>::Start(
      channel_, "/slipstream.notification.v1.NotificationService/Attach",
      {.timeout = absl::InfiniteDuration()});
  const int count = Run<int>([&]() -> Async<int> {
    for (int i = 0; i < 500; ++i) {
      if (!co_await call->Write(nv::AttachRequest())) co_return -1;
    }
    call->SendsDone();
    int n = 0;
    while (co_await call->Read()) ++n;
    co_return n;
  });
  EXPECT_EQ(count, 500);
  EXPECT_TRUE(call->status().ok()) << call->status();
}

TEST_F(RpcTest, ClientStreamCollects) {
  auto stub = av::ArtifactService::NewStub(channel_);
  grpc::ClientContext context;
  av::Artifact artifact;
  auto writer = stub->UploadArtifact(&context, &artifact);
  for (const char* part : {"one ", "two ", "three"}) {
    av::UploadArtifactRequest request;
    request.mutable_body()->set_data(part);
    ASSERT_TRUE(writer->Write(request));
  }
  writer->WritesDone();
  ASSERT_TRUE(writer->Finish().ok());
  EXPECT_EQ(artifact.name(), "one two three");
}

TEST_F(RpcTest, ShutdownCutsOffStreamsAfterTheGrace) {
  auto call = BidiCall<nv::AttachRequest, nv::AttachResponse>::Start(
      channel_, "/slipstream.notification.v1.NotificationService/Attach",
      {.timeout = absl::InfiniteDuration()});
  EXPECT_TRUE(Run<bool>([&]() -> Async<bool> {
    co_await call->Write(nv::AttachRequest());
    co_return (co_await call->Read()).has_value();
  }));
  server_->Shutdown(absl::Milliseconds(50));
  EXPECT_FALSE(Run<bool>([&]() -> Async<bool> { co_return (co_await call->Read()).has_value(); }));
  EXPECT_FALSE(call->Send(nv::AttachRequest()));
}

TEST_F(RpcTest, SendsDoneAfterTheEndDoesNothing) {
  CallOptions options;
  options.metadata.emplace_back("x-refuse", "yes");
  auto call = BidiCall<nv::AttachRequest, nv::AttachResponse>::Start(
      channel_, "/slipstream.notification.v1.NotificationService/Attach", options);
  EXPECT_FALSE(Run<bool>([&]() -> Async<bool> { co_return (co_await call->Read()).has_value(); }));
  call->SendsDone();
  EXPECT_FALSE(call->Send(nv::AttachRequest()));
}

// The edge and the worker, in production: no service of their own, no reflection.
TEST(ServerWithoutServices, StartsForItsHealthAlone) {
  Server server(ServerOptions{});
  EXPECT_TRUE(server.Start().ok());
}

TEST_F(RpcTest, ASecondServerOnThePortIsRefused) {
  Server second(ServerOptions{.address = server_->LocalAddress()});
  EXPECT_EQ(second.Start().code(), absl::StatusCode::kUnavailable);
}

// On a loopback port of its own: it passes by the chain, so it is not beside the traffic.
TEST_F(RpcTest, ChannelzAnswersOnItsOwnPortAlone) {
  const auto servers = [&](const std::string& address) {
    grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub(MakeChannel(address));
    using Result = absl::StatusOr<grpc::ByteBuffer>;
    return Run<Result>([&]() -> Async<Result> {
      grpc::Slice slice;
      const grpc::ByteBuffer request(&slice, 1);
      co_return co_await CallUnary<grpc::ByteBuffer>({}, [&](auto* c, auto* p, auto done) {
        stub.UnaryCall(c, "/grpc.channelz.v1.Channelz/GetServers", {}, &request, p,
                       std::move(done));
      });
    });
  };
  const auto on_admin = servers("127.0.0.1:" + std::to_string(server_->channelz_port()));
  ASSERT_TRUE(on_admin.ok()) << on_admin.status();
  EXPECT_GT(on_admin->Length(), 0u) << "it lists no server";
  EXPECT_EQ(servers(server_->LocalAddress()).status().code(), absl::StatusCode::kUnimplemented);
}

TEST(MethodTable, EveryMethodOfAServiceHasAPolicy) {
  auto table = MethodTable::ForService("slipstream.notification.v1.NotificationService");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ((*table)["Publish"].permission, "notifications.publish");
  EXPECT_EQ((*table)["Subscribe"].type, "server_stream");
  EXPECT_EQ(MethodTable::ForService("no.such.Service").status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace slipstream::rpc
