// What users and workers may send that is wrong: each gets a clear error with its code, and changes
// nothing.
#include "services/task_queue/service_fixture.h"

namespace slipstream::task_queue {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

class BadInputTest : public ServiceFixture {
 protected:
  BadInputTest() { EXPECT_TRUE(worker_.Hello(4).has_welcome()); }

  // The field that a submit is refused for.
  std::string FieldOf(const v1::SubmitTaskRequest& request) {
    const absl::Status refused = Submit(alice_, request).status();
    EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
    const auto fields = status::FieldViolations(refused);
    return fields.empty() ? "" : fields[0].field;
  }
  template <class F>
  v1::SubmitTaskRequest With(F change) {
    v1::SubmitTaskRequest request = Request();
    change(request);
    return request;
  }
  v1::BulkSubmitTasksResponse BulkSubmit(const v1::BulkSubmitTasksRequest& request) {
    v1::BulkSubmitTasksResponse response;
    const absl::Status status =
        rpc::FromGrpc(queue_->BulkSubmitTasks(CallAs(alice_).get(), request, &response));
    EXPECT_TRUE(status.ok()) << status;
    return response;
  }

  TestWorker worker_{*workers_, WorkerToken()};
  const std::string alice_ = Token("alice");
  const std::string bob_ = Token("bob");
  const std::string admin_ = Token("root", {"admin"});
};

TEST_F(BadInputTest, ASubmitIsRefusedByTheNameOfItsWrongField) {
  EXPECT_EQ(
      FieldOf(With([](auto& r) {
        (*r.mutable_args()->mutable_fields())["text"].set_string_value(std::string(300 << 10, 'x'));
      })),
      "args");
  EXPECT_EQ(FieldOf(With([](auto& r) {
              (*r.mutable_args()->mutable_fields())["text"].set_number_value(1);
            })),
            "args.text");
  EXPECT_EQ(FieldOf(With([](auto& r) { r.set_priority(static_cast<v1::Task::Priority>(9)); })),
            "priority");
  EXPECT_EQ(FieldOf(With([](auto& r) { r.set_delay_ms(-1); })), "delay_ms");
  EXPECT_EQ(FieldOf(With([](auto& r) { r.set_unique_key(std::string(257, 'k')); })), "unique_key");
  EXPECT_EQ(FieldOf(With([](auto& r) { r.add_depends_on("nonsense"); })), "depends_on");
}

TEST_F(BadInputTest, ACyclicFlowIsRefusedEntryByEntry) {
  v1::BulkSubmitTasksRequest request;
  *request.add_tasks() = With([](auto& r) { r.add_depends_on("#1"); });
  *request.add_tasks() = With([](auto& r) { r.add_depends_on("#0"); });
  *request.add_tasks() = Request();
  const auto response = BulkSubmit(request);
  EXPECT_EQ(response.accepted_count(), 1);
  EXPECT_EQ(response.results(0).error().reason(), "CYCLIC_FLOW");
  EXPECT_EQ(response.results(1).error().reason(), "CYCLIC_FLOW");
  const absl::Status self = Submit(alice_, With([](auto& r) { r.add_depends_on("#0"); })).status();
  EXPECT_TRUE(absl::IsInvalidArgument(self));
  EXPECT_EQ(status::Reason(self), "CYCLIC_FLOW");
}

TEST_F(BadInputTest, AFlowOfABulkSubmitRunsInItsOrder) {
  v1::BulkSubmitTasksRequest request;
  *request.add_tasks() = With([](auto& r) { r.add_depends_on("#1"); });
  *request.add_tasks() = Request();
  const auto response = BulkSubmit(request);
  ASSERT_EQ(response.accepted_count(), 2);
  const std::string second = response.results(0).task().task_id();
  const std::string first = response.results(1).task().task_id();
  EXPECT_THAT(response.results(0).task().depends_on(), ElementsAre(first));
  EXPECT_EQ(worker_.Read().assignment().task_id(), first);
  // The next assignment and the ack may come in either order.
  const v1::WorkResponse messages[] = {worker_.Succeed(first, 1), worker_.Read()};
  const bool ack_first = messages[0].has_ack();
  EXPECT_TRUE(messages[ack_first ? 0 : 1].ack().accepted());
  EXPECT_EQ(messages[ack_first ? 1 : 0].assignment().task_id(), second);
}

TEST_F(BadInputTest, AHundredAndOneIdsAreTooMany) {
  v1::BulkGetTasksRequest request;
  for (int i = 0; i <= 100; ++i)
    request.add_task_ids(std::string(33, 'a') + std::to_string(100 + i));
  v1::BulkGetTasksResponse found;
  const absl::Status refused =
      rpc::FromGrpc(queue_->BulkGetTasks(CallAs(alice_).get(), request, &found));
  EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
  EXPECT_EQ(status::FieldViolations(refused)[0].field, "task_ids");
  v1::BulkSubmitTasksRequest tasks;
  for (int i = 0; i <= 100; ++i) *tasks.add_tasks() = Request();
  v1::BulkSubmitTasksResponse results;
  EXPECT_TRUE(absl::IsInvalidArgument(
      rpc::FromGrpc(queue_->BulkSubmitTasks(CallAs(alice_).get(), tasks, &results))));
}

TEST_F(BadInputTest, AForeignTaskIsNotThere) {
  const std::string id = Submit(alice_, Request())->task_id();
  EXPECT_EQ(status::Reason(Get(bob_, id).status()), "TASK_NOT_FOUND");
  v1::RestartTaskRequest restart;
  restart.set_task_id(id);
  v1::Task task;
  EXPECT_TRUE(
      absl::IsNotFound(rpc::FromGrpc(queue_->RestartTask(CallAs(bob_).get(), restart, &task))));
  const absl::Status follows = Submit(bob_, With([&](auto& r) { r.add_depends_on(id); })).status();
  EXPECT_TRUE(absl::IsInvalidArgument(follows)) << follows;
}

TEST_F(BadInputTest, AForgedEpochIsRefusedAndChangesNothing) {
  const std::string id = Submit(alice_, Request())->task_id();
  const int64_t epoch = worker_.Read().assignment().lease_epoch();
  for (const int64_t forged : {epoch + 1, epoch - 1, int64_t{-1}, int64_t{1} << 62}) {
    const v1::WorkResponse refused = worker_.Succeed(id, forged);
    EXPECT_FALSE(refused.ack().accepted());
    EXPECT_EQ(status::Reason(status::FromRpcStatus(refused.ack().error())), "STALE_LEASE");
  }
  EXPECT_EQ(Get(alice_, id)->status(), v1::Task::RUNNING);
  EXPECT_TRUE(worker_.Succeed(id, epoch).ack().accepted());
}

TEST_F(BadInputTest, AnUnknownWorkerSessionGetsANewOneAndIsToldWhatItLost) {
  const std::string unknown(36, 'x');
  TestWorker lost(*workers_, WorkerToken());
  const v1::WorkResponse welcome = lost.Hello(4, unknown, {{"t", 1}});
  ASSERT_TRUE(welcome.has_welcome());
  EXPECT_FALSE(welcome.welcome().resumed());
  EXPECT_NE(welcome.welcome().session_id(), unknown);
  EXPECT_THAT(welcome.welcome().lost_task_ids(), ElementsAre("t"));
  TestWorker nonsense(*workers_, WorkerToken());
  nonsense.Hello(4, "nonsense");
  const absl::Status refused = nonsense.Finish();
  EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
  EXPECT_EQ(status::FieldViolations(refused)[0].field, "hello.session_id");
}

TEST_F(BadInputTest, APurgeNamesWhatItTakesAndIsForAdministrators) {
  v1::PurgeQueueRequest purge;
  v1::PurgeQueueResponse purged;
  const auto call = [&](const std::string& token) {
    return rpc::FromGrpc(queue_->PurgeQueue(CallAs(token).get(), purge, &purged));
  };
  EXPECT_TRUE(absl::IsInvalidArgument(call(admin_)));
  purge.set_task_type("echo");
  purge.add_status(v1::Task::RUNNING);
  EXPECT_TRUE(absl::IsInvalidArgument(call(admin_)));
  purge.clear_status();
  EXPECT_TRUE(absl::IsPermissionDenied(call(alice_)));
  EXPECT_TRUE(call(admin_).ok());
  v1::SubmitTaskRequest later = Request();
  later.set_delay_ms(60'000);
  const std::string id = Submit(alice_, later)->task_id();
  purge.add_status(v1::Task::SCHEDULED);
  purge.set_dry_run(true);
  ASSERT_TRUE(call(admin_).ok());
  EXPECT_EQ(purged.purged_count(), 1);
  EXPECT_TRUE(Get(alice_, id).ok());
  purge.set_dry_run(false);
  ASSERT_TRUE(call(admin_).ok());
  EXPECT_EQ(purged.purged_count(), 1);
  EXPECT_TRUE(absl::IsNotFound(Get(alice_, id).status()));
  EXPECT_THAT(delivered_.Await(id, 1), ElementsAre("task_cancelled"));
}

TEST_F(BadInputTest, AUniqueKeyNamesTheTaskThatHasIt) {
  const auto unique = [&](v1::SubmitTaskRequest::UniquePolicy policy) {
    return Submit(alice_, With([&](auto& r) {
                    r.set_unique_key("k");
                    r.set_unique_policy(policy);
                    r.set_delay_ms(60'000);
                  }));
  };
  const std::string first = unique(v1::SubmitTaskRequest::UNIQUE_POLICY_UNSPECIFIED)->task_id();
  const absl::Status taken = unique(v1::SubmitTaskRequest::REJECT).status();
  EXPECT_TRUE(absl::IsAlreadyExists(taken));
  EXPECT_EQ(status::Reason(taken), "UNIQUE_KEY_TAKEN");
  EXPECT_EQ(status::Metadata(taken, "task_id"), first);
  EXPECT_EQ(unique(v1::SubmitTaskRequest::DEBOUNCE)->task_id(), first);
  EXPECT_NE(unique(v1::SubmitTaskRequest::REPLACE)->task_id(), first);
  EXPECT_EQ(Get(alice_, first)->status(), v1::Task::CANCELLED);
}

}  // namespace
}  // namespace slipstream::task_queue
