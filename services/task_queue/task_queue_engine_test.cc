#include "services/task_queue/task_queue_engine.h"

#include "services/task_queue/engine_fixture.h"

namespace slipstream::task_queue {
namespace {

using testing::ElementsAre;

class TaskQueueEngineTest : public EngineFixture {
 protected:
  TaskQueueEngineTest() { EXPECT_TRUE(registry_.Announce({Type("echo"), Type("other")}).ok()); }

  std::string Refusal(const SubmitSpec& spec) {
    const absl::Status status = Await(engine_.Submit(alice_, spec)).status();
    const auto fields = status::FieldViolations(status);
    return fields.empty() ? status::Reason(status) : fields[0].field;
  }
};

TEST_F(TaskQueueEngineTest, SubmitFillsInOwnerTraceAndDefaults) {
  const TaskRecord task = Submit();
  EXPECT_EQ(task.task_id.size(), 36u);
  EXPECT_EQ(task.owner, "alice");
  EXPECT_EQ(task.tenant, "acme");
  EXPECT_EQ(task.correlation_id, "req-1");
  EXPECT_EQ(task.priority, TaskPriority::kNormal);
  EXPECT_EQ(task.max_attempts, 3);
  EXPECT_EQ(task.status, TaskStatus::kPending);
}

TEST_F(TaskQueueEngineTest, EachFieldOutOfBoundsIsRefusedByName) {
  const auto with = [](auto change) {
    SubmitSpec spec = Spec();
    change(spec);
    return spec;
  };
  EXPECT_EQ(Refusal(with([](auto& s) { s.task_type = ""; })), "task_type");
  EXPECT_EQ(Refusal(with([](auto& s) { s.task_type = "unheard-of"; })), kUnknownTaskType);
  EXPECT_EQ(Refusal(with([](auto& s) { s.priority = 5; })), "priority");
  EXPECT_EQ(Refusal(with([](auto& s) { s.priority = -1; })), "priority");
  EXPECT_EQ(Refusal(with([](auto& s) { s.delay_ms = -1; })), "delay_ms");
  EXPECT_EQ(Refusal(with([&](auto& s) { s.run_at = clock_.Now() + absl::Hours(24 * 366); })),
            "run_at");
  EXPECT_EQ(Refusal(with([](auto& s) { s.expires_in_ms = -1; })), "expires_in_ms");
  EXPECT_EQ(Refusal(with([](auto& s) { s.max_attempts = 101; })), "max_attempts");
  EXPECT_EQ(Refusal(with([](auto& s) { s.deadline_ms = 86'400'000; })), "deadline_ms");
  EXPECT_EQ(Refusal(with([](auto& s) { s.result_ttl_ms = 1; })), "result_ttl_ms");
  EXPECT_EQ(Refusal(with([](auto& s) { s.request_id = "with space"; })), "request_id");
  EXPECT_EQ(Refusal(with([](auto& s) { s.labels[""] = "x"; })), "labels");
  EXPECT_EQ(Refusal(with([](auto& s) { s.not_built_feature = "webhook_ids"; })),
            status::kNotBuiltYet);
  EXPECT_EQ(Refusal(with([](auto& s) {
              (*s.args.mutable_fields())["a"].set_string_value(std::string(300 << 10, 'x'));
            })),
            "args");
}

TEST_F(TaskQueueEngineTest, ArgumentsAreCheckedAgainstTheSchema) {
  v1::TaskType strict = Type("strict");
  auto& fields = *strict.mutable_args_schema()->mutable_fields();
  fields["required"].mutable_list_value()->add_values()->set_string_value("prompt");
  ASSERT_TRUE(registry_.Announce({strict}).ok());
  EXPECT_EQ(Refusal(Spec("strict")), "args.prompt");
}

TEST_F(TaskQueueEngineTest, TheSameRequestIdReturnsTheFirstTask) {
  SubmitSpec spec = Spec();
  spec.request_id = "once";
  spec.fingerprint = "f";
  const TaskRecord first = Submit(spec);
  EXPECT_EQ(Submit(spec).task_id, first.task_id);
  spec.fingerprint = "g";
  EXPECT_EQ(Refusal(spec), kRequestIdReused);
  EXPECT_EQ(
      metrics::ValueOf(metrics_, R"(slipstream_task_queue_submitted_total{task_type="echo"})"), 1);
}

TEST_F(TaskQueueEngineTest, AnothersTaskDoesNotExist) {
  const std::string id = Submit().task_id;
  for (const absl::Status& status :
       {Await(engine_.Get(bob_, id)).status(), Await(engine_.Cancel(bob_, id, "")).status(),
        Await(engine_.Restart(bob_, id)).status()}) {
    EXPECT_TRUE(absl::IsNotFound(status)) << status;
    EXPECT_EQ(status::Reason(status), kTaskNotFound);
  }
  Caller other_tenant = alice_;
  other_tenant.tenant = "rival";
  EXPECT_TRUE(absl::IsNotFound(Await(engine_.Get(other_tenant, id)).status()));
  EXPECT_THAT(Await(engine_.GetMany(bob_, {id}))->missing_task_ids, ElementsAre(id));
  EXPECT_TRUE(Await(engine_.Get(admin_, id)).ok());
  EXPECT_EQ(Get(id).status, TaskStatus::kPending);
}

TEST_F(TaskQueueEngineTest, ListsAreOnesOwnAndAdministratorsMayAskForAll) {
  const std::string id = Submit().task_id;
  EXPECT_EQ(Await(engine_.List(alice_, {}))->tasks.size(), 1u);
  EXPECT_TRUE(Await(engine_.List(bob_, {}))->tasks.empty());
  ListQuery of_alice;
  of_alice.owner = "alice";
  EXPECT_TRUE(absl::IsPermissionDenied(Await(engine_.List(bob_, of_alice)).status()));
  EXPECT_EQ(Await(engine_.List(admin_, of_alice))->tasks[0].task_id, id);
  Caller other_tenant = alice_;
  other_tenant.tenant = "rival";
  EXPECT_TRUE(Await(engine_.List(other_tenant, {}))->tasks.empty());
}

TEST_F(TaskQueueEngineTest, BulkReadsAreBoundedAndCountRepeatsOnce) {
  const std::string id = Submit().task_id;
  EXPECT_EQ(Await(engine_.GetMany(alice_, {id, id}))->tasks.size(), 1u);
  std::vector<std::string> many;
  for (int i = 0; i <= 100; ++i) many.push_back(std::to_string(i));
  EXPECT_TRUE(absl::IsInvalidArgument(Await(engine_.GetMany(alice_, many)).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Await(engine_.GetMany(alice_, {})).status()));
}

TEST_F(TaskQueueEngineTest, BulkSubmitTakesWhatIsRightOrAllOrNothing) {
  const std::vector<SubmitSpec> specs = {Spec(), Spec("unheard-of")};
  auto some = Await(engine_.SubmitMany(alice_, specs, false)).value();
  EXPECT_TRUE(some[0].ok());
  EXPECT_EQ(status::Reason(some[1].status()), kUnknownTaskType);
  auto none = Await(engine_.SubmitMany(alice_, specs, true)).value();
  EXPECT_EQ(status::Reason(none[0].status()), "ALL_OR_NOTHING");
  EXPECT_EQ(Await(engine_.List(alice_, {}))->tasks.size(), 1u);
}

TEST_F(TaskQueueEngineTest, CancellingAWaitingTaskEndsItAndTwiceIsNoError) {
  const std::string id = Submit().task_id;
  EXPECT_EQ(Await(engine_.Cancel(alice_, id, ""))->status, TaskStatus::kCancelled);
  EXPECT_EQ(Await(engine_.Cancel(alice_, id, ""))->status, TaskStatus::kCancelled);
  EXPECT_EQ(Get(id).error->reason, "CANCELLED");
}

TEST_F(TaskQueueEngineTest, ADelayedTaskWaitsForItsTimeAndAnExpiredOneEnds) {
  SubmitSpec later = Spec();
  later.delay_ms = 10'000;
  later.expires_in_ms = 5'000;
  const std::string id = Submit(later).task_id;
  clock_.Advance(absl::Seconds(9));
  Tick();
  EXPECT_EQ(Get(id).status, TaskStatus::kScheduled);
  clock_.Advance(absl::Seconds(1));
  Tick();
  EXPECT_EQ(Get(id).status, TaskStatus::kPending);
  clock_.Advance(absl::Seconds(5));
  Tick();
  EXPECT_EQ(Get(id).status, TaskStatus::kExpired);
  EXPECT_EQ(Get(id).error->reason, "EXPIRED");
}

TEST_F(TaskQueueEngineTest, AResultIsForgottenAfterItsTimeAndByCleanup) {
  const std::string first = Submit().task_id;
  ASSERT_TRUE(Await(engine_.Cancel(alice_, first, "")).ok());
  clock_.Advance(absl::Hours(1));
  Tick();
  EXPECT_TRUE(absl::IsNotFound(Await(engine_.Get(alice_, first)).status()));

  const std::string second = Submit().task_id;
  ASSERT_TRUE(Await(engine_.Cancel(alice_, second, "")).ok());
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Await(engine_.Cleanup(std::nullopt, false))->removed_count, 0);
  EXPECT_EQ(Await(engine_.Cleanup(absl::Milliseconds(500), false))->removed_count, 1);
  EXPECT_TRUE(
      absl::IsInvalidArgument(Await(engine_.Cleanup(absl::Milliseconds(-1), false)).status()));
}

TEST_F(TaskQueueEngineTest, DrainingRefusesSubmitsWithARetryDelay) {
  engine_.BeginDrain();
  const absl::Status refused = Await(engine_.Submit(alice_, Spec())).status();
  EXPECT_TRUE(absl::IsUnavailable(refused));
  EXPECT_TRUE(status::RetryAfter(refused).has_value());
}

TEST_F(TaskQueueEngineTest, ReportCountsWhatHappened) {
  auto sink = std::make_shared<RecordingSink>();
  const std::string session = Connect(sink);
  Submit();
  EXPECT_EQ(Dispatch(), 1);
  clock_.Advance(absl::Seconds(2));
  ASSERT_TRUE(Succeed(session, sink->assigned[0]).ok());
  const QueueReport report = Await(engine_.Report()).value();
  EXPECT_EQ(report.store.by_status[static_cast<size_t>(TaskStatus::kSucceeded)], 1);
  EXPECT_EQ(report.figures.run.p50_ms, 2000);
  EXPECT_EQ(report.figures.success_ratio, 1);
  ASSERT_EQ(report.workers.size(), 1u);
  EXPECT_EQ(report.workers[0].worker_name, "worker-1");
}

}  // namespace
}  // namespace slipstream::task_queue
