// Several queue servers on one store.
#include "services/task_queue/server_double.h"

namespace slipstream::task_queue {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

class ServersTest : public testing::Test {
 protected:
  clock::FakeClock clock_;
  random::SeededRandom random_{1};
  std::shared_ptr<CommonStore> common_ = MakeCommonStore();
  std::unique_ptr<ServerDouble> a_ = std::make_unique<ServerDouble>(common_, clock_, random_);
  std::unique_ptr<ServerDouble> b_ = std::make_unique<ServerDouble>(common_, clock_, random_);
  std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
};

TEST_F(ServersTest, AWorkerResumesItsSessionAtAnotherServer) {
  const std::string session = a_->Connect(sink_);
  const std::string kept = a_->Submit()->task_id;
  const std::string undelivered = a_->Submit()->task_id;
  const std::string other_epoch = a_->Submit()->task_id;
  EXPECT_EQ(a_->Dispatch(), 3);
  a_.reset();  // killed
  clock_.Advance(absl::Seconds(3));
  auto again = std::make_shared<RecordingSink>();
  EXPECT_EQ(b_->Connect(again, session, {{kept, 1}, {other_epoch, 7}, {"unheard-of", 1}}), session);
  EXPECT_TRUE(b_->welcome.resumed);
  EXPECT_THAT(b_->welcome.lost_task_ids, testing::UnorderedElementsAre(other_epoch, "unheard-of"));
  EXPECT_EQ(b_->sessions.held_count(), 1);
  EXPECT_EQ(b_->StatusOf(undelivered), TaskStatus::kPending);
  EXPECT_EQ(b_->StatusOf(other_epoch), TaskStatus::kPending);
  clock_.Advance(absl::Seconds(3));
  b_->Tick();
  EXPECT_EQ(b_->StatusOf(kept), TaskStatus::kRunning) << "the lease was renewed";
  TaskRecord held = *Await(b_->store.Get(kept));
  EXPECT_TRUE(b_->Succeed(session, held).ok());
  EXPECT_EQ(b_->Dispatch(), 2);
}

TEST_F(ServersTest, AnotherUsersSessionIsNotResumedAnywhere) {
  const std::string session = a_->Connect(sink_);
  const std::string id = a_->Submit()->task_id;
  a_->Dispatch();
  auto thief = std::make_shared<RecordingSink>();
  EXPECT_NE(b_->Connect(thief, session, {{id, 1}}, "mallory"), session);
  EXPECT_FALSE(b_->welcome.resumed);
  EXPECT_THAT(b_->welcome.lost_task_ids, ElementsAre(id));
  EXPECT_EQ(a_->StatusOf(id), TaskStatus::kRunning);
  EXPECT_TRUE(a_->Succeed(session, sink_->assigned[0]).ok());
}

TEST_F(ServersTest, ASessionThatHasEndedIsNotResumed) {
  const std::string session = a_->Connect(sink_);
  const std::string id = a_->Submit()->task_id;
  a_->Dispatch();
  a_.reset();
  clock_.Advance(absl::Seconds(4));
  EXPECT_NE(b_->Connect(sink_, session, {{id, 1}}), session);
  EXPECT_THAT(b_->welcome.lost_task_ids, ElementsAre(id));
}

TEST_F(ServersTest, AKilledServersTasksRunAgainWithinFiveSeconds) {
  a_->Connect(sink_);
  const std::string id = a_->Submit()->task_id;
  a_->Dispatch();
  const absl::Time killed = clock_.Now();
  a_.reset();
  auto other = std::make_shared<RecordingSink>();
  const std::string session = b_->Connect(other);
  while (other->assigned.empty() && clock_.Now() - killed < absl::Minutes(1)) {
    clock_.Advance(absl::Milliseconds(50));
    EXPECT_TRUE(Await(b_->sessions.Heartbeat(session)).ok());
    b_->Tick();
    b_->Dispatch();
  }
  EXPECT_LE(clock_.Now() - killed, absl::Seconds(5));
  EXPECT_EQ(other->assigned[0].task_id, id);
}

TEST_F(ServersTest, ACancelAtAnyServerReachesTheWorker) {
  a_->Connect(sink_);
  const std::string id = a_->Submit()->task_id;
  a_->Dispatch();
  ASSERT_TRUE(Await(b_->engine.Cancel(b_->alice, id, "")).ok());
  EXPECT_THAT(sink_->cancelled, ElementsAre(id + " CANCELLED"));
  EXPECT_EQ(a_->sessions.held_count(), 0);
}

TEST_F(ServersTest, ADeadlineFoundByAnotherServerReachesTheWorker) {
  const std::string session = a_->Connect(sink_);
  SubmitSpec spec;
  spec.task_type = "echo";
  spec.deadline_ms = 1'000;
  const std::string id = Await(a_->engine.Submit(a_->alice, spec))->task_id;
  a_->Dispatch();
  clock_.Advance(absl::Seconds(1));
  b_->Tick();
  EXPECT_THAT(sink_->cancelled, ElementsAre(id + " DEADLINE_EXCEEDED"));
}

TEST_F(ServersTest, AfterAGapLeasesThatHaveEndedAreCancelledAtTheirWorker) {
  a_->Connect(sink_);
  const std::string cancelled = a_->Submit()->task_id;
  const std::string kept = a_->Submit()->task_id;
  a_->Dispatch();
  const uint64_t seen = a_->signals.work().version();
  ASSERT_TRUE(Await(common_->store->Cancel(cancelled, "", clock_.Now())).ok());  // news is lost
  a_->engine.OnGap();
  EXPECT_GT(a_->signals.work().version(), seen) << "everybody looks again";
  a_->Tick();
  EXPECT_THAT(sink_->cancelled, ElementsAre(cancelled + " CANCELLED"));
  EXPECT_EQ(a_->sessions.held_count(), 1);
  EXPECT_EQ(a_->StatusOf(kept), TaskStatus::kRunning);
}

TEST_F(ServersTest, NewsOfWorkWakesTheDispatcher) {
  const uint64_t seen = a_->signals.work().version();
  a_->engine.OnWork();
  EXPECT_GT(a_->signals.work().version(), seen);
}

TEST_F(ServersTest, ATypeAnnouncedAnywhereIsKnownEverywhereAndAfterARestartOfAll) {
  EXPECT_TRUE(absl::IsUnavailable(b_->Submit().status())) << "nobody has announced it";
  clock_.Advance(absl::Seconds(1));
  a_->Connect(sink_);
  EXPECT_TRUE(b_->Submit().ok());
  a_.reset();
  b_.reset();
  ServerDouble later(common_, clock_, random_);
  EXPECT_TRUE(later.Submit().ok());
  SubmitSpec unknown;
  unknown.task_type = "unheard-of";
  EXPECT_EQ(status::Reason(Await(later.engine.Submit(later.alice, unknown)).status()),
            kUnknownTaskType);
}

TEST_F(ServersTest, AChangedTypeReachesTheOthersWithTheNextLoad) {
  v1::TaskType type;
  type.set_name("echo");
  type.set_max_running_count(1);
  ASSERT_TRUE(b_->registry.Announce({type}).ok());
  ASSERT_TRUE(Await(b_->types.Save({type})).ok());
  ASSERT_TRUE(Await(a_->types.Load()).ok());
  EXPECT_EQ((*a_->registry.Find("echo"))->type.max_running_count(), 1);
}

TEST_F(ServersTest, ATypesLimitsHoldOverAllServers) {
  const auto connect = [](ServerDouble& server, const std::shared_ptr<RecordingSink>& sink) {
    v1::TaskType type;
    type.set_name("echo");
    type.set_max_running_count(2);
    EXPECT_TRUE(Await(server.sessions.Connect({"svc", "w", {type}, 4, "", {}}, sink)).ok());
  };
  auto other = std::make_shared<RecordingSink>();
  connect(*a_, sink_);
  connect(*b_, other);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(a_->Submit().ok());
  EXPECT_EQ(a_->Dispatch() + b_->Dispatch(), 2);
}

TEST_F(ServersTest, AReportIsOfAllServers) {
  const std::string session = a_->Connect(sink_);
  a_->Submit().value();
  a_->Submit().value();
  a_->Dispatch();
  clock_.Advance(absl::Seconds(2));
  ASSERT_TRUE(a_->Succeed(session, sink_->assigned[0]).ok());
  b_->Submit().value();
  ASSERT_TRUE(Await(a_->engine.ShareFigures()).ok());
  ASSERT_TRUE(Await(b_->engine.ShareFigures()).ok());
  for (ServerDouble* server : {a_.get(), b_.get()}) {
    const QueueReport report = Await(server->engine.Report()).value();
    EXPECT_EQ(report.figures.run.count, 1);
    EXPECT_EQ(report.figures.run.max_ms, 2000);
    EXPECT_EQ(report.figures.wait.count, 2);
    EXPECT_EQ(report.figures.success_ratio, 1);
    EXPECT_NEAR(report.figures.submitted_per_second, 1.5, 0.01);
    ASSERT_THAT(report.workers, SizeIs(1));
    EXPECT_EQ(report.workers[0].worker_name, "worker-1");
    EXPECT_EQ(report.workers[0].held_count, 1);
    EXPECT_THAT(report.workers[0].task_ids, ElementsAre(sink_->assigned[1].task_id));
  }
  clock_.Advance(absl::Seconds(30));
  EXPECT_THAT(Await(b_->engine.Report())->workers, SizeIs(0)) << "a server that is gone";
}

}  // namespace
}  // namespace slipstream::task_queue
