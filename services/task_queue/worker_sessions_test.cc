#include "services/task_queue/worker_sessions.h"

#include "services/task_queue/engine_fixture.h"

namespace slipstream::task_queue {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class WorkerSessionsTest : public EngineFixture {
 protected:
  WorkerSessionsTest() { EXPECT_TRUE(registry_.Announce({Type("echo"), Type("other")}).ok()); }

  std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
};

TEST_F(WorkerSessionsTest, TasksAreAssignedUpToTheFreeSlotsAndAckedOnes) {
  const std::string session = Connect(sink_, 2);
  for (int i = 0; i < 3; ++i) Submit();
  EXPECT_EQ(Dispatch(), 2);
  ASSERT_THAT(sink_->assigned, SizeIs(2));
  EXPECT_EQ(Dispatch(), 0);
  EXPECT_TRUE(Succeed(session, sink_->assigned[0]).ok());
  EXPECT_EQ(Get(sink_->assigned[0].task_id).status, TaskStatus::kSucceeded);
  EXPECT_EQ(Dispatch(), 1) << "the slot is free again";
}

TEST_F(WorkerSessionsTest, ABurstIsSharedBetweenWorkers) {
  auto other = std::make_shared<RecordingSink>();
  Connect(sink_, 4);
  Connect(other, 4);
  for (int i = 0; i < 4; ++i) Submit();
  EXPECT_EQ(Dispatch(), 4);
  EXPECT_THAT(sink_->assigned, SizeIs(2));
  EXPECT_THAT(other->assigned, SizeIs(2));
}

TEST_F(WorkerSessionsTest, ABrokenStreamsTasksRunElsewhereAfterTheGraceTime) {
  const std::string session = Connect(sink_);
  const std::string id = Submit().task_id;
  Dispatch();
  const TaskRecord lost = sink_->assigned[0];
  Await(sessions_.Disconnect(session, sink_.get()));
  clock_.Advance(absl::Milliseconds(1999));
  Tick();
  EXPECT_EQ(Get(id).status, TaskStatus::kRunning);
  clock_.Advance(absl::Milliseconds(1));
  Tick();
  EXPECT_EQ(Get(id).status, TaskStatus::kPending);
  auto other = std::make_shared<RecordingSink>();
  const std::string second = Connect(other);
  EXPECT_EQ(Dispatch(), 1);
  EXPECT_EQ(status::Reason(Succeed(session, lost)), task_state::kStaleLease);
  EXPECT_EQ(Get(id).status, TaskStatus::kRunning);
  EXPECT_TRUE(Succeed(second, other->assigned[0]).ok());
}

TEST_F(WorkerSessionsTest, AWorkerThatComesBackInTimeGoesOn) {
  const std::string session = Connect(sink_);
  const std::string kept = Submit().task_id;
  const std::string undelivered = Submit().task_id;
  Dispatch();
  Await(sessions_.Disconnect(session, sink_.get()));
  clock_.Advance(absl::Seconds(1));
  auto again = std::make_shared<RecordingSink>();
  EXPECT_EQ(Connect(again, 4, session, {{kept, 1}, {"never-held", 7}}), session);
  EXPECT_TRUE(welcome_.resumed);
  EXPECT_THAT(welcome_.lost_task_ids, ElementsAre("never-held"));
  clock_.Advance(absl::Seconds(3));
  Tick();
  EXPECT_EQ(Get(kept).status, TaskStatus::kRunning);
  EXPECT_EQ(Get(undelivered).status, TaskStatus::kPending) << "the worker never received it";
  EXPECT_TRUE(Succeed(session, Get(kept)).ok());
}

TEST_F(WorkerSessionsTest, AnotherUsersSessionIsNotResumed) {
  const std::string session = Connect(sink_);
  Hello thief{"mallory", "w", {Type("echo")}, 1, session, {{"t", 1}}};
  const auto welcome = Await(sessions_.Connect(thief, std::make_shared<RecordingSink>()));
  ASSERT_TRUE(welcome.ok());
  EXPECT_FALSE(welcome->resumed);
  EXPECT_NE(welcome->session_id, session);
  EXPECT_THAT(welcome->lost_task_ids, ElementsAre("t"));
  EXPECT_FALSE(sink_->closed);
}

TEST_F(WorkerSessionsTest, AnOldStreamsEndDoesNotEndTheResumedSession) {
  const std::string session = Connect(sink_);
  auto again = std::make_shared<RecordingSink>();
  Connect(again, 4, session);
  EXPECT_TRUE(sink_->closed);
  Await(sessions_.Disconnect(session, sink_.get()));
  clock_.Advance(absl::Seconds(3));
  Tick();
  EXPECT_EQ(sessions_.connected_count(), 1);
}

TEST_F(WorkerSessionsTest, HeartbeatsKeepLeasesAndSilenceEndsThem) {
  const std::string session = Connect(sink_);
  const std::string id = Submit().task_id;
  Dispatch();
  for (int i = 0; i < 4; ++i) {
    clock_.Advance(absl::Seconds(3));
    EXPECT_TRUE(Await(sessions_.Heartbeat(session)).ok());
    Tick();
  }
  EXPECT_EQ(Get(id).status, TaskStatus::kRunning);
  clock_.Advance(absl::Seconds(4));
  Tick();
  EXPECT_EQ(Get(id).status, TaskStatus::kPending);
  EXPECT_TRUE(sink_->closed);
  EXPECT_TRUE(absl::IsNotFound(Await(sessions_.Heartbeat(session))));
}

TEST_F(WorkerSessionsTest, CancellingARunningTaskTellsItsWorkerAndFreesTheSlot) {
  const std::string session = Connect(sink_, 1);
  const std::string id = Submit().task_id;
  Dispatch();
  ASSERT_TRUE(Await(engine_.Cancel(alice_, id, "")).ok());
  EXPECT_THAT(sink_->cancelled, ElementsAre(id + " CANCELLED"));
  EXPECT_EQ(status::Reason(Succeed(session, sink_->assigned[0])), task_state::kTaskFinished);
  Submit();
  EXPECT_EQ(Dispatch(), 1);
}

TEST_F(WorkerSessionsTest, AnAttemptOverItsDeadlineIsCancelledAtTheWorkerAndRetried) {
  SubmitSpec spec = Spec();
  spec.deadline_ms = 1'000;
  const std::string id = Submit(spec).task_id;
  Connect(sink_);
  Dispatch();
  clock_.Advance(absl::Seconds(1));
  Tick();
  EXPECT_THAT(sink_->cancelled, ElementsAre(id + " DEADLINE_EXCEEDED"));
  EXPECT_EQ(Get(id).status, TaskStatus::kScheduled);
  EXPECT_EQ(Get(id).error->reason, task_state::kDeadlineExceeded);
}

TEST_F(WorkerSessionsTest, ARetryWaitsForItsBackoffWithJitter) {
  const std::string session = Connect(sink_);
  const std::string id = Submit().task_id;
  Dispatch();
  ASSERT_TRUE(
      Report(session, sink_->assigned[0], task_state::Failure{{"BOOM", "", true}, {}, {}, 0}).ok());
  const absl::Duration wait = *Get(id).next_run_at - clock_.Now();
  EXPECT_GE(wait, absl::Milliseconds(500));
  EXPECT_LT(wait, absl::Seconds(1));
  EXPECT_EQ(Dispatch(), 0);
  clock_.Advance(wait);
  Tick();
  EXPECT_EQ(Dispatch(), 1);
  EXPECT_EQ(sink_->assigned[1].attempt, 2);
}

TEST_F(WorkerSessionsTest, ReportsKeepTheirOrderWithinABatch) {
  const std::string session = Connect(sink_);
  const TaskRecord a = Submit(), b = Submit();
  Dispatch();
  std::vector<WorkerReport> reports;
  reports.push_back({a.task_id, 1, ReportedProgress{50, "half"}});
  reports.push_back({a.task_id, 1, task_state::Success{MakeBytes("r"), {}, {}}});
  reports.push_back({b.task_id, 1, ReportedRelease{}});
  reports.push_back({a.task_id, 1, ReportedProgress{99, "late"}});
  const auto results = Await(sessions_.Report(session, std::move(reports)));
  ASSERT_THAT(results, SizeIs(4));
  EXPECT_TRUE(results[0].ok() && results[1].ok() && results[2].ok());
  EXPECT_EQ(status::Reason(results[3]), task_state::kTaskFinished);
  EXPECT_EQ(Get(b.task_id).status, TaskStatus::kPending);
  EXPECT_EQ(metrics::ValueOf(metrics_, "slipstream_task_queue_stale_refused_total"), 1);
}

TEST_F(WorkerSessionsTest, AStreamThatTakesNothingGivesItsTasksBackAtOnce) {
  Connect(sink_);
  sink_->broken = true;
  const std::string id = Submit().task_id;
  EXPECT_EQ(Dispatch(), 0);
  EXPECT_EQ(Get(id).status, TaskStatus::kPending);
  EXPECT_EQ(Get(id).attempt, 0);
}

TEST_F(WorkerSessionsTest, ADrainTellsWorkersAndAssignsNothingMore) {
  const std::string session = Connect(sink_);
  Submit();
  Dispatch();
  Submit();
  sessions_.BeginDrain(absl::Seconds(10));
  EXPECT_TRUE(sink_->drained);
  EXPECT_EQ(Dispatch(), 0);
  EXPECT_TRUE(Succeed(session, sink_->assigned[0]).ok()) << "what is held may still end";
  Hello late{"svc", "w", {Type("echo")}, 1, "", {}};
  EXPECT_TRUE(absl::IsUnavailable(
      Await(sessions_.Connect(late, std::make_shared<RecordingSink>())).status()));
}

TEST_F(WorkerSessionsTest, SlotsChangeTheCapacity) {
  const std::string session = Connect(sink_, 4);
  sessions_.SetFreeSlots(session, 0);
  Submit();
  EXPECT_EQ(Dispatch(), 0);
  sessions_.SetFreeSlots(session, 1);
  EXPECT_EQ(Dispatch(), 1);
}

TEST_F(WorkerSessionsTest, AWorkerThatSaidNoneGetsNoneWhenItHandsBack) {
  const std::string session = Connect(sink_, 4);
  Submit();
  EXPECT_EQ(Dispatch(), 1);
  sessions_.SetFreeSlots(session, 0);
  EXPECT_TRUE(Report(session, sink_->assigned[0], ReportedRelease{}).ok());
  EXPECT_EQ(Dispatch(), 0) << "it drains: the task is for another worker";
  sessions_.SetFreeSlots(session, 4);
  EXPECT_EQ(Dispatch(), 1);
}

TEST_F(WorkerSessionsTest, AWrongHelloIsRefused) {
  const auto connect = [&](Hello hello) {
    return Await(sessions_.Connect(std::move(hello), sink_)).status();
  };
  EXPECT_TRUE(absl::IsInvalidArgument(connect({"svc", "", {Type("a")}, 1, "", {}})));
  EXPECT_TRUE(absl::IsInvalidArgument(connect({"svc", "w", {}, 1, "", {}})));
  EXPECT_TRUE(absl::IsInvalidArgument(connect({"svc", "w", {Type("a")}, 0, "", {}})));
  EXPECT_TRUE(absl::IsInvalidArgument(connect({"svc", "w", {Type("A B")}, 1, "", {}})));
}

TEST_F(WorkerSessionsTest, ACancelNeverOvertakesItsAssignment) {
  Connect(sink_);
  const std::string id = Submit().task_id;
  sink_->during_assign = [&] { ASSERT_TRUE(Await(engine_.Cancel(alice_, id, "")).ok()); };
  Dispatch();
  EXPECT_THAT(sink_->order, ElementsAre("assign " + id, "cancel " + id));
  EXPECT_EQ(sessions_.held_count(), 0);
}

}  // namespace
}  // namespace slipstream::task_queue
