#include "services/task_queue/service_fixture.h"
#include "slipstream/budget/v1/budget.grpc.pb.h"

namespace slipstream::task_queue {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

class TaskQueueServiceTest : public ServiceFixture {
 protected:
  TaskQueueServiceTest() { EXPECT_TRUE(worker_.Hello(4).has_welcome()); }

  TestWorker worker_{*workers_, WorkerToken()};
  const std::string alice_ = Token("alice");
  const std::string bob_ = Token("bob");
  const std::string admin_ = Token("root", {"admin"});
};

TEST_F(TaskQueueServiceTest, ATaskGoesFromSubmitToItsResultAndItsEventsArrive) {
  const auto task = Submit(alice_, Request("echo_async"));
  ASSERT_TRUE(task.ok()) << task.status();
  EXPECT_EQ(task->task_type(), "echo") << "an alias is resolved";
  EXPECT_EQ(task->owner(), "alice");
  EXPECT_FALSE(task->durable());
  EXPECT_FALSE(task->correlation_id().empty());
  const v1::WorkResponse given = worker_.Read();
  ASSERT_TRUE(given.has_assignment()) << given.ShortDebugString();
  EXPECT_EQ(given.assignment().task_id(), task->task_id());
  EXPECT_EQ(given.assignment().args().fields().at("text").string_value(), "hello");
  EXPECT_FALSE(given.assignment().traceparent().empty());
  EXPECT_EQ(given.assignment().correlation_id(), task->correlation_id());
  EXPECT_TRUE(worker_.Succeed(task->task_id(), 1).ack().accepted());
  const auto done = Get(alice_, task->task_id());
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->status(), v1::Task::SUCCEEDED);
  EXPECT_EQ(done->progress(), 100);
  EXPECT_EQ(done->result().fields().at("text").string_value(), "done");
  EXPECT_THAT(delivered_.Await(task->task_id(), 2), ElementsAre("task_started", "task_completed"));
  EXPECT_THAT(delivered_.channels(), ElementsAre("user:alice"));
}

TEST_F(TaskQueueServiceTest, WithoutATokenNothingIsDone) {
  EXPECT_TRUE(absl::IsUnauthenticated(Submit("", Request()).status()));
  TestWorker stranger(*workers_, alice_);
  stranger.Hello();
  EXPECT_TRUE(absl::IsPermissionDenied(stranger.Finish())) << "users are no workers";
}

TEST_F(TaskQueueServiceTest, AnothersTaskIsNotFoundByAnyCall) {
  const std::string id = Submit(alice_, Request())->task_id();
  EXPECT_TRUE(absl::IsNotFound(Get(bob_, id).status()));
  v1::CancelTaskRequest cancel;
  cancel.set_task_id(id);
  v1::Task task;
  EXPECT_TRUE(
      absl::IsNotFound(rpc::FromGrpc(queue_->CancelTask(CallAs(bob_).get(), cancel, &task))));
  EXPECT_THAT(WatchUntil(bob_, id, v1::Task::SUCCEEDED), SizeIs(0));
  v1::BulkGetTasksRequest bulk;
  bulk.add_task_ids(id);
  v1::BulkGetTasksResponse found;
  ASSERT_TRUE(queue_->BulkGetTasks(CallAs(bob_).get(), bulk, &found).ok());
  EXPECT_EQ(found.tasks_size(), 0);
  EXPECT_THAT(found.missing_task_ids(), ElementsAre(id));
  EXPECT_TRUE(Get(admin_, id).ok());
}

TEST_F(TaskQueueServiceTest, AnUnknownTypeIsRefusedWithTheKnownOnes) {
  const absl::Status refused = Submit(alice_, Request("nonsense")).status();
  EXPECT_TRUE(absl::IsInvalidArgument(refused));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("known are: echo"));
}

TEST_F(TaskQueueServiceTest, WrongArgumentsAreRefusedByName) {
  v1::SubmitTaskRequest request = Request();
  (*request.mutable_args()->mutable_fields())["txet"].set_string_value("");
  const auto violations = status::FieldViolations(Submit(alice_, request).status());
  ASSERT_THAT(violations, SizeIs(1));
  EXPECT_EQ(violations[0].field, "args.txet");
}

TEST_F(TaskQueueServiceTest, ARepeatedRequestIdGivesTheSameTaskAndOtherContentIsRefused) {
  v1::SubmitTaskRequest request = Request();
  request.set_request_id("once");
  const auto first = Submit(alice_, request);
  EXPECT_EQ(Submit(alice_, request)->task_id(), first->task_id());
  EXPECT_NE(Submit(bob_, request)->task_id(), first->task_id());
  (*request.mutable_args()->mutable_fields())["text"].set_string_value("other");
  EXPECT_TRUE(absl::IsAlreadyExists(Submit(alice_, request).status()));
}

TEST_F(TaskQueueServiceTest, SensitiveArgumentsAreShownAsStars) {
  v1::SubmitTaskRequest request = Request();
  (*request.mutable_args()->mutable_fields())["secret"].set_string_value("s3cr3t");
  const std::string id = Submit(alice_, request)->task_id();
  EXPECT_FALSE(Get(alice_, id)->has_args());
  const auto shown = Get(alice_, id, true);
  EXPECT_EQ(shown->args().fields().at("text").string_value(), "hello");
  EXPECT_EQ(shown->args().fields().at("secret").string_value(), "***");
  EXPECT_EQ(worker_.Read().assignment().args().fields().at("secret").string_value(), "s3cr3t");
}

TEST_F(TaskQueueServiceTest, CancellingReachesTheWorkerSoon) {
  const std::string id = Submit(alice_, Request())->task_id();
  ASSERT_TRUE(worker_.Read().has_assignment());
  v1::CancelTaskRequest cancel;
  cancel.set_task_id(id);
  cancel.set_reason("changed my mind");
  v1::Task task;
  const absl::Time begin = clock_.Now();
  ASSERT_TRUE(queue_->CancelTask(CallAs(alice_).get(), cancel, &task).ok());
  const v1::WorkResponse told = worker_.Read();
  EXPECT_LT(clock_.Now() - begin, absl::Seconds(2)) << "0.1 s is promised; this machine is busy";
  ASSERT_TRUE(told.has_cancel()) << told.ShortDebugString();
  EXPECT_EQ(told.cancel().task_id(), id);
  EXPECT_EQ(told.cancel().reason(), "CANCELLED");
  EXPECT_EQ(task.status(), v1::Task::CANCELLED);
  EXPECT_EQ(task.error().message(), "changed my mind");
  EXPECT_FALSE(worker_.Succeed(id, 1).ack().accepted());
  EXPECT_THAT(delivered_.Await(id, 2), ElementsAre("task_started", "task_cancelled"));
}

TEST_F(TaskQueueServiceTest, AWatchSeesTheTaskToItsEnd) {
  v1::SubmitTaskRequest request = Request();
  request.set_delay_ms(100);
  const std::string id = Submit(alice_, request)->task_id();
  auto context = CallAs(alice_);
  v1::WatchTaskRequest watch;
  watch.set_task_id(id);
  auto reader = queue_->WatchTask(context.get(), watch);
  v1::Task task;
  ASSERT_TRUE(reader->Read(&task));
  EXPECT_EQ(task.status(), v1::Task::SCHEDULED);
  ASSERT_TRUE(worker_.Read().has_assignment());
  EXPECT_TRUE(worker_.Succeed(id, 1).ack().accepted());
  while (reader->Read(&task)) {
  }
  EXPECT_EQ(task.status(), v1::Task::SUCCEEDED);
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(TaskQueueServiceTest, ListsComeInPagesWhoseTokensAreTheCallersOwn) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Submit(alice_, Request()).ok());
  v1::ListTasksRequest request;
  request.set_page_size(2);
  v1::ListTasksResponse first, second;
  ASSERT_TRUE(queue_->ListTasks(CallAs(alice_).get(), request, &first).ok());
  EXPECT_EQ(first.tasks_size(), 2);
  request.set_page_token(first.next_page_token());
  EXPECT_TRUE(absl::IsInvalidArgument(
      rpc::FromGrpc(queue_->ListTasks(CallAs(bob_).get(), request, &second))));
  ASSERT_TRUE(queue_->ListTasks(CallAs(alice_).get(), request, &second).ok());
  EXPECT_EQ(second.tasks_size(), 1);
  EXPECT_TRUE(second.next_page_token().empty());
}

TEST_F(TaskQueueServiceTest, BulkSubmitAnswersForEachEntry) {
  v1::BulkSubmitTasksRequest request;
  *request.add_tasks() = Request();
  *request.add_tasks() = Request("nonsense");
  v1::BulkSubmitTasksResponse response;
  ASSERT_TRUE(queue_->BulkSubmitTasks(CallAs(alice_).get(), request, &response).ok());
  EXPECT_EQ(response.accepted_count(), 1);
  EXPECT_TRUE(response.results(0).has_task());
  EXPECT_EQ(response.results(1).error().reason(), "UNKNOWN_TASK_TYPE");
}

TEST_F(TaskQueueServiceTest, FiguresShowWorkersToAdministratorsOnly) {
  ASSERT_TRUE(Submit(alice_, Request()).ok());
  v1::QueueStats of_user, of_admin;
  ASSERT_TRUE(queue_->GetQueueStats(CallAs(alice_).get(), {}, &of_user).ok());
  ASSERT_TRUE(queue_->GetQueueStats(CallAs(admin_).get(), {}, &of_admin).ok());
  EXPECT_EQ(of_user.store(), "memory");
  EXPECT_EQ(of_user.statuses_size(), 7);
  EXPECT_EQ(of_user.workers_size(), 0);
  EXPECT_EQ(of_admin.workers_size(), 1);
}

TEST_F(TaskQueueServiceTest, ExamplesListTheTypes) {
  v1::ListTaskTypesResponse types;
  ASSERT_TRUE(queue_->ListTaskTypes(CallAs(alice_).get(), {}, &types).ok());
  ASSERT_EQ(types.task_types_size(), 1);
  EXPECT_EQ(types.task_types(0).name(), "echo");
  EXPECT_EQ(types.task_types(0).worker_count(), 1);
}

TEST_F(TaskQueueServiceTest, AdministrationIsForAdministrators) {
  v1::CleanupTasksResponse cleaned;
  EXPECT_TRUE(absl::IsPermissionDenied(
      rpc::FromGrpc(queue_->CleanupTasks(CallAs(alice_).get(), {}, &cleaned))));
  EXPECT_TRUE(queue_->CleanupTasks(CallAs(admin_).get(), {}, &cleaned).ok());
  v1::PauseQueueRequest pause;
  v1::PauseQueueResponse paused;
  ASSERT_TRUE(queue_->PauseQueue(CallAs(admin_).get(), pause, &paused).ok());
  EXPECT_THAT(paused.paused_task_types(), ElementsAre("*"));
  const std::string id = Submit(alice_, Request())->task_id();
  v1::ResumeQueueResponse resumed;
  EXPECT_EQ(Get(alice_, id)->status(), v1::Task::PENDING);
  ASSERT_TRUE(queue_->ResumeQueue(CallAs(admin_).get(), {}, &resumed).ok());
  EXPECT_EQ(worker_.Read().assignment().task_id(), id);
}

TEST_F(TaskQueueServiceTest, WhatIsNotBuiltSaysSo) {
  v1::SubmitTaskRequest hooked = Request();
  hooked.add_webhook_ids("w");
  EXPECT_EQ(status::Reason(Submit(alice_, hooked).status()), status::kNotBuiltYet);
  auto budget = budget::v1::BudgetService::NewStub(channel_);
  budget::v1::BudgetStatus state;
  EXPECT_EQ(
      status::Reason(rpc::FromGrpc(budget->GetBudgetStatus(CallAs(alice_).get(), {}, &state))),
      status::kNotBuiltYet);
}

TEST(TaskQueueModule, AStartWithoutItsRedisEndsWithAClearLine) {
  config::v1::Config config = config::DefaultConfig();
  config.mutable_task_queue()->set_redis_url("redis://127.0.0.1:1");
  config.mutable_task_queue()->set_redis_start_timeout_ms(100);
  config.mutable_task_queue()->set_grpc_address("127.0.0.1:0");
  config.mutable_task_queue()->set_http_address("127.0.0.1:0");
  config.mutable_logging()->set_level(config::v1::LoggingConfig::ERROR);
  service::Process process(config, {.name = "task_queue"});
  const absl::Status refused = process.Start({MakeTaskQueueModule});
  EXPECT_THAT(std::string(refused.message()), HasSubstr("127.0.0.1:1"));
}

}  // namespace
}  // namespace slipstream::task_queue
