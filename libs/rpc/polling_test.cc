#include "libs/rpc/polling.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "libs/rpc/channel.h"
#include "libs/sync/mutex.h"
#include "slipstream/notification/v1/notification.grpc.pb.h"

namespace slipstream::rpc {
namespace {

namespace v1 = slipstream::notification::v1;

class EchoService final : public v1::NotificationService::CallbackService {
 public:
  grpc::ServerUnaryReactor* Publish(grpc::CallbackServerContext* context,
                                    const v1::PublishRequest* request,
                                    v1::PublishResponse* response) override {
    response->set_event_id(request->channel());
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

class PollingTest : public testing::Test {
 protected:
  PollingTest() {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    channel_ = MakeChannel("127.0.0.1:" + std::to_string(port));
  }

  // So many calls at once by the callback API; how many were answered rightly.
  int CallMany(int count) {
    const auto stub = v1::NotificationService::NewStub(channel_);
    struct Call {
      grpc::ClientContext context;
      v1::PublishRequest request;
      v1::PublishResponse response;
    };
    std::vector<std::unique_ptr<Call>> calls;
    sync::Mutex mutex;
    sync::CondVar ended;
    int left = count, right = 0;
    for (int i = 0; i < count; ++i) {
      Call& call = *calls.emplace_back(std::make_unique<Call>());
      call.request.set_channel(std::to_string(i));
      stub->async()->Publish(&call.context, &call.request, &call.response,
                             [&, sent = std::to_string(i)](const grpc::Status& status) {
                               sync::MutexLock lock(mutex);
                               if (status.ok() && call.response.event_id() == sent) ++right;
                               if (--left == 0) ended.Signal();
                             });
    }
    sync::MutexLock lock(mutex);
    while (left > 0) ended.Wait(mutex);
    return right;
  }

  EchoService service_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(PollingTest, HalfOfTheThreadsWaitAndTheOthersStayOut) {
  EXPECT_EQ(CallMany(200), 200);
  // gRPC starts them all before the first is needed, each at its own time.
  const int expected = std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / 4);
  for (int i = 0; i < 10'000 && Polling().parked_count < 1; ++i) CallMany(1);
  EXPECT_GE(Polling().parked_count, 1);
  EXPECT_EQ(CallMany(200), 200);
  EXPECT_EQ(Polling().waiting_count, expected);
}

TEST_F(PollingTest, NoneIsLeftWhenItsQueueHasEnded) {
  EXPECT_EQ(CallMany(1), 1);
  EXPECT_GT(Polling().waiting_count, 0);
  channel_.reset();
  server_.reset();
  // gRPC has joined its threads with the last of the two.
  EXPECT_EQ(Polling().waiting_count, 0);
  EXPECT_EQ(Polling().parked_count, 0);
}

// Its end waits for the threads of the queue, of which the callback has one.
TEST(ChannelTest, TheLastOneMayEndInACallback) {
  struct Call {
    std::shared_ptr<grpc::Channel> channel = MakeChannel("127.0.0.1:1");  // nobody is there
    std::unique_ptr<v1::NotificationService::Stub> stub = v1::NotificationService::NewStub(channel);
    grpc::ClientContext context;
    v1::PublishRequest request;
    v1::PublishResponse response;
  };
  sync::Mutex mutex;
  sync::CondVar changed;
  bool alone = false, failed = false;
  auto call = std::make_shared<Call>();
  Call& made = *call;
  made.stub->async()->Publish(&made.context, &made.request, &made.response,
                              [&, kept = call](const grpc::Status& status) mutable {
                                sync::MutexLock lock(mutex);
                                while (!alone) changed.Wait(mutex);
                                failed = !status.ok();
                                kept.reset();
                                changed.Signal();
                              });
  {
    sync::MutexLock lock(mutex);
    call.reset();
    alone = true;
    changed.Signal();
    while (!failed) changed.Wait(mutex);
  }
  const auto all = [] { return Polling().waiting_count + Polling().parked_count; };
  for (int i = 0; i < 100'000'000 && all() > 0; ++i) std::this_thread::yield();
  EXPECT_EQ(all(), 0);
}

}  // namespace
}  // namespace slipstream::rpc
