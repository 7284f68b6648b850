#include <future>

#include "services/task_queue/service_fixture.h"

namespace slipstream::task_queue {
namespace {

using testing::Contains;
using testing::ElementsAre;

class WorkerServiceTest : public ServiceFixture {
 protected:
  const std::string alice_ = Token("alice");
  std::unique_ptr<TestWorker> worker_ = std::make_unique<TestWorker>(*workers_, WorkerToken());
};

TEST_F(WorkerServiceTest, TheWelcomeNamesTheSessionAndItsTimes) {
  const v1::WorkResponse response = worker_->Hello();
  ASSERT_TRUE(response.has_welcome());
  EXPECT_EQ(response.welcome().session_id().size(), 36u);
  EXPECT_EQ(response.welcome().lease_ms(), 4'000);
  EXPECT_EQ(response.welcome().heartbeat_interval_ms(), 1'000);
}

TEST_F(WorkerServiceTest, HeartbeatsAreAnsweredForWhoUnderstandsIt) {
  v1::WorkRequest hello;
  hello.mutable_hello()->set_worker_name("w");
  hello.mutable_hello()->set_slots(1);
  hello.mutable_hello()->set_accepts_heartbeat_acks(true);
  hello.mutable_hello()->add_task_types()->set_name("other");
  worker_->Send(hello);
  EXPECT_TRUE(worker_->Read().welcome().acks_heartbeats());
  v1::WorkRequest batch;
  batch.mutable_batch()->add_requests()->mutable_slots()->set_free_slots(1);
  batch.mutable_batch()->add_requests()->mutable_heartbeat();
  worker_->Send(batch);
  EXPECT_TRUE(worker_->Read().has_heartbeat_ack());
}

TEST_F(WorkerServiceTest, TheFirstMessageMustBeAHello) {
  v1::WorkRequest request;
  request.mutable_heartbeat();
  worker_->Send(request);
  EXPECT_TRUE(absl::IsInvalidArgument(worker_->Finish()));
}

TEST_F(WorkerServiceTest, AStaleEpochIsRefusedByItsAck) {
  worker_->Hello();
  const std::string id = Submit(alice_, Request())->task_id();
  const int64_t epoch = worker_->Read().assignment().lease_epoch();
  const v1::WorkResponse refused = worker_->Succeed(id, epoch + 1);
  ASSERT_TRUE(refused.has_ack());
  EXPECT_FALSE(refused.ack().accepted());
  EXPECT_EQ(status::Reason(status::FromRpcStatus(refused.ack().error())), "STALE_LEASE");
  EXPECT_TRUE(worker_->Succeed(id, epoch).ack().accepted());
  EXPECT_TRUE(worker_->Succeed(id, epoch).ack().accepted()) << "a repeated report";
}

TEST_F(WorkerServiceTest, AKilledWorkersTaskRunsAgainElsewhere) {
  worker_->Hello();
  const std::string id = Submit(alice_, Request())->task_id();
  ASSERT_TRUE(worker_->Read().has_assignment());
  TestWorker second(*workers_, WorkerToken());
  second.Hello();
  worker_->Break();
  const v1::WorkResponse again = second.Read();
  ASSERT_TRUE(again.has_assignment());
  EXPECT_EQ(again.assignment().task_id(), id);
  EXPECT_EQ(again.assignment().lease_epoch(), 2);
  EXPECT_TRUE(second.Succeed(id, 2).ack().accepted());
  EXPECT_THAT(delivered_.Await(id, 4),
              ElementsAre("task_started", "task_progress", "task_started", "task_completed"));
}

TEST_F(WorkerServiceTest, AWorkerThatComesBackInTimeKeepsItsTask) {
  const std::string session = worker_->Hello().welcome().session_id();
  const std::string id = Submit(alice_, Request())->task_id();
  ASSERT_TRUE(worker_->Read().has_assignment());
  TestWorker again(*workers_, WorkerToken());
  const v1::WorkResponse welcome = again.Hello(4, session, {{id, 1}, {"other", 1}});
  EXPECT_TRUE(welcome.welcome().resumed());
  EXPECT_THAT(welcome.welcome().lost_task_ids(), ElementsAre("other"));
  EXPECT_TRUE(again.Succeed(id, 1).ack().accepted());
}

TEST_F(WorkerServiceTest, ProgressIsSeenAndFailuresAreTriedAgain) {
  worker_->Hello();
  v1::SubmitTaskRequest request = Request();
  request.set_max_attempts(2);
  const std::string id = Submit(alice_, request)->task_id();
  ASSERT_TRUE(worker_->Read().has_assignment());
  v1::WorkRequest batch;
  auto* progress = batch.mutable_batch()->add_requests()->mutable_progress();
  progress->set_task_id(id);
  progress->set_lease_epoch(1);
  progress->set_percent(30);
  progress->set_message("thinking");
  auto* failure = batch.mutable_batch()->add_requests()->mutable_failure();
  failure->set_task_id(id);
  failure->set_lease_epoch(1);
  failure->set_reason("UPSTREAM_BUSY");
  failure->set_message("try later");
  failure->set_retryable(true);
  EXPECT_TRUE(worker_->SendAndRead(batch).ack().accepted());
  const auto waiting = Get(alice_, id);
  EXPECT_EQ(waiting->status(), v1::Task::SCHEDULED);
  EXPECT_EQ(waiting->progress(), 30);
  EXPECT_EQ(waiting->error().reason(), "UPSTREAM_BUSY");
  EXPECT_TRUE(waiting->has_next_run_at());
  const v1::WorkResponse again = worker_->Read();
  EXPECT_EQ(again.assignment().attempt(), 2);
  failure->set_lease_epoch(again.assignment().lease_epoch());
  v1::WorkRequest last;
  *last.mutable_failure() = *failure;
  EXPECT_TRUE(worker_->SendAndRead(last).ack().accepted());
  EXPECT_EQ(Get(alice_, id)->status(), v1::Task::FAILED);
  EXPECT_THAT(delivered_.Await(id, 5), Contains("task_failed"));
}

TEST_F(WorkerServiceTest, AResultThatIsTooLargeIsRefusedAndTheTaskStaysHeld) {
  worker_->Hello();
  const std::string id = Submit(alice_, Request())->task_id();
  ASSERT_TRUE(worker_->Read().has_assignment());
  v1::WorkRequest request;
  request.mutable_success()->set_task_id(id);
  request.mutable_success()->set_lease_epoch(1);
  (*request.mutable_success()->mutable_result()->mutable_fields())["x"].set_string_value(
      std::string(2 << 20, 'x'));
  const v1::WorkResponse refused = worker_->SendAndRead(request);
  EXPECT_EQ(status::Reason(status::FromRpcStatus(refused.ack().error())), status::kInvalidField);
  EXPECT_EQ(Get(alice_, id)->status(), v1::Task::RUNNING);
  EXPECT_TRUE(worker_->Succeed(id, 1).ack().accepted());
}

TEST_F(WorkerServiceTest, AtTheEndWorkersAreToldAndWhatTheyHoldIsFinished) {
  worker_->Hello();
  const std::string id = Submit(alice_, Request())->task_id();
  ASSERT_TRUE(worker_->Read().has_assignment());
  auto ended = std::async(std::launch::async, [&] { process_->Shutdown(); });
  const v1::WorkResponse told = worker_->Read();
  ASSERT_TRUE(told.has_drain()) << told.ShortDebugString();
  EXPECT_GT(told.drain().grace_ms(), 0);
  const absl::Status refused = Submit(alice_, Request()).status();
  EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
  EXPECT_TRUE(worker_->Succeed(id, 1).ack().accepted());
  EXPECT_THAT(delivered_.Await(id, 2), ElementsAre("task_started", "task_completed"));
  worker_->Finish().IgnoreError();
  EXPECT_EQ(ended.wait_for(std::chrono::seconds(20)), std::future_status::ready);
}

}  // namespace
}  // namespace slipstream::task_queue
