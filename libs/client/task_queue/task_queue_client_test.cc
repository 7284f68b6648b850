// The client against a TaskQueueService on a real server, over loopback.
#include "libs/client/task_queue/task_queue_client.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>

#include "libs/async/runtime.h"
#include "libs/async/scope.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/handler.h"
#include "libs/rpc/server.h"
#include "slipstream/task_queue/v1/task_queue.grpc.pb.h"

namespace slipstream::task_queue_client {
namespace {

namespace v1 = task_queue::v1;

// Answers with what it was asked; its watches tell the states that the test has put in, and break
// once when told so.
class FakeQueue final : public v1::TaskQueueService::CallbackService {
 public:
  explicit FakeQueue(const rpc::Dispatcher& d)
      : rpc_(d, *rpc::MethodTable::ForService("slipstream.task_queue.v1.TaskQueueService")) {}

  grpc::ServerUnaryReactor* SubmitTask(grpc::CallbackServerContext* c,
                                       const v1::SubmitTaskRequest* q, v1::Task* p) override {
    return rpc_.Unary("SubmitTask", c, q, p,
                      [this](rpc::CallContext& call, const v1::SubmitTaskRequest& q, v1::Task* p) {
                        authorization = std::string(call.metadata("authorization"));
                        if (q.task_type().empty()) return absl::InvalidArgumentError("task_type");
                        p->set_task_id("id of " + q.task_type());
                        return absl::OkStatus();
                      });
  }
  grpc::ServerUnaryReactor* BulkSubmitTasks(grpc::CallbackServerContext* c,
                                            const v1::BulkSubmitTasksRequest* q,
                                            v1::BulkSubmitTasksResponse* p) override {
    return rpc_.Unary(
        "BulkSubmitTasks", c, q, p,
        [](rpc::CallContext&, const v1::BulkSubmitTasksRequest& q, v1::BulkSubmitTasksResponse* p) {
          for (const auto& task : q.tasks()) {
            p->add_results()->mutable_task()->set_task_id(task.task_type());
          }
          p->set_accepted_count(q.tasks_size());
          return absl::OkStatus();
        });
  }
  grpc::ServerUnaryReactor* GetTask(grpc::CallbackServerContext* c, const v1::GetTaskRequest* q,
                                    v1::Task* p) override {
    return rpc_.Unary("GetTask", c, q, p,
                      [](rpc::CallContext&, const v1::GetTaskRequest& q, v1::Task* p) {
                        p->set_task_id(q.task_id());
                        if (q.include_args()) p->mutable_args();
                        return absl::OkStatus();
                      });
  }
  grpc::ServerUnaryReactor* BulkGetTasks(grpc::CallbackServerContext* c,
                                         const v1::BulkGetTasksRequest* q,
                                         v1::BulkGetTasksResponse* p) override {
    return rpc_.Unary(
        "BulkGetTasks", c, q, p,
        [](rpc::CallContext&, const v1::BulkGetTasksRequest& q, v1::BulkGetTasksResponse* p) {
          p->add_tasks()->set_task_id(q.task_ids(0));
          p->add_missing_task_ids(q.task_ids(1));
          return absl::OkStatus();
        });
  }
  grpc::ServerUnaryReactor* ListTasks(grpc::CallbackServerContext* c, const v1::ListTasksRequest* q,
                                      v1::ListTasksResponse* p) override {
    return rpc_.Unary(
        "ListTasks", c, q, p,
        [](rpc::CallContext&, const v1::ListTasksRequest& q, v1::ListTasksResponse* p) {
          p->set_next_page_token(q.page_token() + "+");
          return absl::OkStatus();
        });
  }
  grpc::ServerUnaryReactor* CancelTask(grpc::CallbackServerContext* c,
                                       const v1::CancelTaskRequest* q, v1::Task* p) override {
    return rpc_.Unary("CancelTask", c, q, p,
                      [](rpc::CallContext&, const v1::CancelTaskRequest& q, v1::Task* p) {
                        p->set_status(v1::Task::CANCELLED);
                        p->mutable_error()->set_message(q.reason());
                        return absl::OkStatus();
                      });
  }
  grpc::ServerUnaryReactor* RestartTask(grpc::CallbackServerContext* c,
                                        const v1::RestartTaskRequest* q, v1::Task* p) override {
    return rpc_.Unary("RestartTask", c, q, p,
                      [](rpc::CallContext&, const v1::RestartTaskRequest&, v1::Task* p) {
                        p->set_status(v1::Task::PENDING);
                        return absl::OkStatus();
                      });
  }
  grpc::ServerWriteReactor<v1::Task>* WatchTask(grpc::CallbackServerContext* c,
                                                const v1::WatchTaskRequest* q) override {
    return rpc_.ServerStream<v1::Task>("WatchTask", c, q,
                                       [this](rpc::CallContext&, const v1::WatchTaskRequest& q,
                                              rpc::Sender<v1::Task>& out) -> Async<absl::Status> {
                                         ++watches;
                                         if (q.task_id() == "unknown")
                                           co_return absl::NotFoundError("no such task");
                                         v1::Task task;
                                         task.set_task_id(q.task_id());
                                         task.set_status(v1::Task::RUNNING);
                                         for (int percent : {0, 50}) {
                                           task.set_progress(percent);
                                           co_await out.Write(task);
                                         }
                                         if (q.task_id() == "endless") {
                                           // What is over before this is reached counts too.
                                           const uint64_t version = ended.version();
                                           if (!over) co_await ended.Wait(version);
                                           co_return absl::OkStatus();
                                         }
                                         if (watches == 1)
                                           co_return absl::UnavailableError("going away");
                                         task.set_status(v1::Task::SUCCEEDED);
                                         co_await out.Write(task);
                                         co_return absl::OkStatus();
                                       });
  }

  // Ends the endless watches, and those to come.
  void End() {
    over = true;
    ended.Notify();
  }

  std::string authorization;
  std::atomic<int> watches{0};
  std::atomic<bool> over{false};
  async::Event ended;

 private:
  rpc::Endpoint rpc_;
};

class TaskQueueClientTest : public testing::Test {
 protected:
  TaskQueueClientTest() {
    server_.AddService(&queue_);
    EXPECT_TRUE(server_.Start().ok());
    client_ = std::make_unique<TaskQueueClient>(rpc::MakeChannel(server_.LocalAddress()), clock_);
    call_.bearer_token = "token";
  }
  ~TaskQueueClientTest() override {
    queue_.End();
    server_.Shutdown(absl::ZeroDuration());
    scope_.Close();
  }

  template <class T>
  T Run(std::function<Async<T>()> coroutine) {
    std::promise<T> result;
    scope_.Spawn([&]() -> Async<void> { result.set_value(co_await coroutine()); });
    return result.get_future().get();
  }

  const clock::SystemClock clock_;
  async::Runtime runtime_{2};
  const rpc::Chain chain_{{}};
  const rpc::Dispatcher dispatcher_{chain_, runtime_.executor(), clock_};
  FakeQueue queue_{dispatcher_};
  rpc::Server server_{rpc::ServerOptions{}};
  std::unique_ptr<TaskQueueClient> client_;
  rpc::CallOptions call_;
  async::Scope scope_{runtime_.executor()};
};

TEST_F(TaskQueueClientTest, SubmitCarriesTheTokenAndReturnsTheTask) {
  using Result = absl::StatusOr<v1::Task>;
  v1::SubmitTaskRequest request;
  request.set_task_type("thumbnail");
  const auto task = Run<Result>([&] { return client_->Submit(call_, request); });
  ASSERT_TRUE(task.ok()) << task.status();
  EXPECT_EQ(task->task_id(), "id of thumbnail");
  EXPECT_EQ(queue_.authorization, "Bearer token");
  const auto refused = Run<Result>([&] { return client_->Submit(call_, {}); });
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
}

TEST_F(TaskQueueClientTest, ReadsAndChanges) {
  using Result = absl::StatusOr<v1::Task>;
  const auto got = Run<Result>([&] { return client_->Get(call_, "a", true); });
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->task_id(), "a");
  EXPECT_TRUE(got->has_args());

  const auto many = Run<absl::StatusOr<v1::BulkGetTasksResponse>>(
      [&] { return client_->BulkGet(call_, {"a", "b"}); });
  ASSERT_TRUE(many.ok());
  EXPECT_EQ(many->tasks(0).task_id(), "a");
  EXPECT_EQ(many->missing_task_ids(0), "b");

  v1::ListTasksRequest list;
  list.set_page_token("1");
  const auto page =
      Run<absl::StatusOr<v1::ListTasksResponse>>([&] { return client_->List(call_, list); });
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->next_page_token(), "1+");

  const auto cancelled = Run<Result>([&] { return client_->Cancel(call_, "a", "why"); });
  ASSERT_TRUE(cancelled.ok());
  EXPECT_EQ(cancelled->error().message(), "why");
  const auto restarted = Run<Result>([&] { return client_->Restart(call_, "a"); });
  ASSERT_TRUE(restarted.ok());
  EXPECT_EQ(restarted->status(), v1::Task::PENDING);
}

TEST_F(TaskQueueClientTest, CallbacksGetAnswersAndErrors) {
  v1::BulkSubmitTasksRequest bulk;
  bulk.add_tasks()->set_task_type("one");
  bulk.add_tasks()->set_task_type("two");
  std::promise<std::string> second;
  client_->BulkSubmitThen(call_, bulk, [&](const absl::Status& status, const auto& response) {
    second.set_value(status.ok() ? response.results(1).task().task_id() : status.ToString());
  });
  EXPECT_EQ(second.get_future().get(), "two");

  v1::BulkGetTasksRequest ids;
  ids.add_task_ids("a");
  ids.add_task_ids("b");
  std::promise<int> found;
  client_->BulkGetThen(call_, ids, [&](const absl::Status&, const auto& response) {
    found.set_value(response.tasks_size());
  });
  EXPECT_EQ(found.get_future().get(), 1);

  std::promise<absl::Status> refused;
  client_->SubmitThen(call_, {}, [&](const absl::Status& status, const v1::Task& task) {
    EXPECT_EQ(task.task_id(), "");
    refused.set_value(status);
  });
  EXPECT_TRUE(absl::IsInvalidArgument(refused.get_future().get()));
}

TEST_F(TaskQueueClientTest, WatchTellsEachChangeAndEndsWhenNoLongerWanted) {
  queue_.watches = 1;  // none is broken
  std::vector<int> seen;
  const auto status = Run<absl::Status>([&] {
    return client_->Watch(call_, "a", [&](const v1::Task& task) {
      seen.push_back(task.status() == v1::Task::SUCCEEDED ? 100 : task.progress());
      return true;
    });
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(seen, (std::vector<int>{0, 50, 100}));
  const auto given_up = Run<absl::Status>(
      [&] { return client_->Watch(call_, "endless", [](const v1::Task&) { return false; }); });
  EXPECT_TRUE(absl::IsCancelled(given_up)) << given_up;
}

TEST_F(TaskQueueClientTest, WaitForWatchesAgainWhenTheServerGoesAway) {
  const auto task = Run<absl::StatusOr<v1::Task>>(
      [&] { return client_->WaitFor(call_, "a", clock_.Now() + absl::Seconds(20)); });
  ASSERT_TRUE(task.ok()) << task.status();
  EXPECT_EQ(task->status(), v1::Task::SUCCEEDED);
  EXPECT_EQ(queue_.watches, 2);
}

TEST_F(TaskQueueClientTest, WaitForEndsAtItsDeadlineAndOnAnUnknownTask) {
  const auto late = Run<absl::StatusOr<v1::Task>>(
      [&] { return client_->WaitFor(call_, "endless", clock_.Now() + absl::Milliseconds(50)); });
  EXPECT_TRUE(absl::IsDeadlineExceeded(late.status())) << late.status();
  const auto unknown = Run<absl::StatusOr<v1::Task>>(
      [&] { return client_->WaitFor(call_, "unknown", clock_.Now() + absl::Seconds(20)); });
  EXPECT_TRUE(absl::IsNotFound(unknown.status())) << unknown.status();
}

}  // namespace
}  // namespace slipstream::task_queue_client
