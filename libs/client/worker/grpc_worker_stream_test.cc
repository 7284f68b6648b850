// The worker against a WorkerService on a real server, over loopback.
#include "libs/client/worker/grpc_worker_stream.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>

#include "libs/async/runtime.h"
#include "libs/client/worker/worker.h"
#include "libs/clock/clock.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/handler.h"
#include "libs/rpc/server.h"
#include "slipstream/task_queue/v1/worker.grpc.pb.h"

namespace slipstream::worker_client {
namespace {

namespace tv = slipstream::task_queue::v1;

// Gives each session one task, remembers what comes back, and breaks the first stream before it
// acknowledges the result.
class FakeQueue final : public tv::WorkerService::CallbackService {
 public:
  explicit FakeQueue(const rpc::Dispatcher& d)
      : rpc_(d, *rpc::MethodTable::ForService("slipstream.task_queue.v1.WorkerService")) {}

  grpc::ServerBidiReactor<tv::WorkRequest, tv::WorkResponse>* Work(
      grpc::CallbackServerContext* c) override {
    return rpc_.BidiStream<tv::WorkRequest, tv::WorkResponse>(
        "Work", c,
        [this](rpc::CallContext& call, rpc::Receiver<tv::WorkRequest>& in,
               rpc::Sender<tv::WorkResponse>& out) -> Async<absl::Status> {
          authorization = call.metadata("authorization");
          auto hello = co_await in.Read();
          if (!hello || !hello->has_hello()) co_return absl::InvalidArgumentError("hello");
          const bool again = hello->hello().session_id() == "session";
          tv::WorkResponse welcome;
          welcome.mutable_welcome()->set_session_id("session");
          welcome.mutable_welcome()->set_heartbeat_interval_ms(1000);
          welcome.mutable_welcome()->set_resumed(again);
          co_await out.Write(welcome);
          if (!again) {
            tv::WorkResponse task;
            task.mutable_assignment()->set_task_id("t1");
            task.mutable_assignment()->set_task_type("echo");
            task.mutable_assignment()->set_lease_epoch(5);
            co_await out.Write(task);
          }
          while (auto request = co_await in.Read()) {
            if (!request->has_success()) continue;
            if (!again) co_return absl::UnavailableError("restarting");
            tv::WorkResponse ack;
            ack.mutable_ack()->set_task_id(request->success().task_id());
            ack.mutable_ack()->set_lease_epoch(request->success().lease_epoch());
            ack.mutable_ack()->set_accepted(true);
            co_await out.Write(ack);
            accepted.Notify();
          }
          ++ended;
          co_return absl::OkStatus();
        });
  }

  async::Event accepted;
  std::atomic<int> ended{0};
  std::string authorization;

 private:
  rpc::Endpoint rpc_;
};

TEST(GrpcWorkerStream, AResultSurvivesABrokenStream) {
  clock::SystemClock clock;
  random::SystemRandom random;
  async::Runtime runtime(2);
  rpc::Chain chain({});
  rpc::Dispatcher dispatcher{chain, runtime.executor(), clock};
  FakeQueue queue(dispatcher);
  rpc::Server server({});
  server.AddService(&queue);
  ASSERT_TRUE(server.Start().ok());
  server.SetServing(true);

  WorkerOptions options;
  options.executor = runtime.executor();
  options.clock = &clock;
  options.random = &random;
  options.name = "test";
  options.min_backoff = absl::Milliseconds(1);
  tv::TaskType type;
  type.set_name("echo");
  options.tasks = {
      {type, [](const TaskArgs& args, TaskContext&) -> Async<absl::StatusOr<TaskResult>> {
         TaskResult result;
         result.value = args;
         co_return result;
       }}};
  auto worker = Worker::Create(std::move(options),
                               GrpcStreams(rpc::MakeChannel(server.LocalAddress()),
                                           []() -> absl::StatusOr<rpc::CallOptions> {
                                             return rpc::CallOptions{.bearer_token = "secret"};
                                           }));
  ASSERT_TRUE(worker.ok()) << worker.status();
  (*worker)->Start();

  async::Scope scope(runtime.executor());
  scope.Spawn([&]() -> Async<void> {
    if (queue.accepted.version() == 0) co_await queue.accepted.Wait(0);
  });
  scope.Close();
  (*worker)->Drain(clock.Now() + absl::Seconds(10));
  EXPECT_EQ((*worker)->stats().succeeded_total, 1);
  EXPECT_EQ((*worker)->stats().resumed_total, 1);
  EXPECT_EQ(queue.authorization, "Bearer secret");
  (*worker)->Stop();
  server.Shutdown(absl::Seconds(5));
}

}  // namespace
}  // namespace slipstream::worker_client
