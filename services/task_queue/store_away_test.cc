// The queue while its store can't be reached, and after it is back.
#include "services/task_queue/contract/task_store_contract.h"
#include "services/task_queue/server_double.h"

namespace slipstream::task_queue {
namespace {

using testing::SizeIs;

std::unique_ptr<TaskStore> MakeServerStore() {
  MemoryTaskStoreOptions options;
  options.max_tasks_count = kContractTasksCount;
  options.aging_step = kContractAgingStep;
  options.retry = kContractRetry;
  auto common = std::make_shared<CommonStore>();
  common->store = std::make_unique<MemoryTaskStore>(options);
  return std::make_unique<ServerTaskStore>(std::move(common));
}

// The double is a store too, as long as its link holds.
INSTANTIATE_TEST_SUITE_P(OneServersView, TaskStoreContract,
                         testing::Values(MakeStore(MakeServerStore)));

class StoreAwayTest : public testing::Test {
 protected:
  void Pass(absl::Duration time) {
    for (const absl::Time end = clock_.Now() + time; clock_.Now() < end;) {
      clock_.Advance(absl::Milliseconds(100));
      server_.Tick();
    }
  }

  clock::FakeClock clock_;
  random::SeededRandom random_{1};
  std::shared_ptr<CommonStore> common_ = MakeCommonStore();
  ServerDouble server_{common_, clock_, random_};
  std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
};

TEST_F(StoreAwayTest, SubmitsAreRefusedAtOnceWithARetryDelay) {
  server_.Connect(sink_);
  server_.store.away = true;
  const absl::Status refused = server_.Submit().status();
  EXPECT_TRUE(absl::IsUnavailable(refused));
  EXPECT_TRUE(status::RetryAfter(refused).has_value());
  EXPECT_EQ(server_.store.calls_while_away(), 1);
  server_.store.away = false;
  EXPECT_TRUE(server_.Submit().ok());
}

TEST_F(StoreAwayTest, WorkersStayConnectedHoweverLongItLastsAndHandInAfterwards) {
  const std::string session = server_.Connect(sink_);
  const std::string id = server_.Submit()->task_id;
  server_.Dispatch();
  server_.store.away = true;
  for (int i = 0; i < 60; ++i) {
    Pass(absl::Seconds(1));
    EXPECT_TRUE(Await(server_.sessions.Heartbeat(session)).ok());
  }
  EXPECT_FALSE(sink_->closed);
  EXPECT_TRUE(absl::IsUnavailable(server_.Succeed(session, sink_->assigned[0])));
  server_.store.away = false;
  // The lease is long over in the store, but nobody has taken the task: its worker goes first.
  Pass(absl::Milliseconds(500));
  EXPECT_EQ(server_.StatusOf(id), TaskStatus::kRunning);
  EXPECT_TRUE(server_.Succeed(session, sink_->assigned[0]).ok());
  EXPECT_TRUE(Await(server_.sessions.Heartbeat(session)).ok());
  Pass(absl::Seconds(2));
  EXPECT_EQ(server_.StatusOf(id), TaskStatus::kSucceeded);
  EXPECT_EQ(server_.sessions.connected_count(), 1);
}

TEST_F(StoreAwayTest, ReportsThatWaitKeepTheirSessionThoughItsHeartbeatsAreNotRead) {
  const std::string session = server_.Connect(sink_);
  server_.Submit().value();
  server_.Dispatch();
  server_.store.away = true;
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(absl::IsUnavailable(server_.Succeed(session, sink_->assigned[0])));
    Pass(absl::Milliseconds(500));
  }
  EXPECT_FALSE(sink_->closed);
  server_.store.away = false;
  Pass(absl::Milliseconds(500));
  EXPECT_TRUE(server_.Succeed(session, sink_->assigned[0]).ok());
}

TEST_F(StoreAwayTest, CallsLostNowAndThenDoNotKeepDueTasksWaiting) {
  server_.Connect(sink_);
  SubmitSpec spec;
  spec.run_at = clock_.Now() + absl::Seconds(1);
  const std::string id = server_.Submit(spec)->task_id;
  for (int i = 0; i < 5; ++i) {
    server_.store.away = true;
    Pass(absl::Milliseconds(100));
    server_.store.away = false;
    Pass(absl::Seconds(1));
  }
  EXPECT_EQ(server_.StatusOf(id), TaskStatus::kPending);
}

TEST_F(StoreAwayTest, AWorkerThatFallsSilentMeanwhileIsStillGivenUp) {
  server_.Connect(sink_);
  server_.store.away = true;
  Pass(absl::Seconds(5));
  EXPECT_TRUE(sink_->closed);
}

TEST_F(StoreAwayTest, NothingAfterAReportThatIsNotInIsHandedIn) {
  const std::string session = server_.Connect(sink_);
  const TaskRecord task = *server_.Submit();
  server_.Dispatch();
  std::vector<WorkerReport> reports;
  reports.push_back({task.task_id, 1, ReportedProgress{50, "half"}});
  reports.push_back({task.task_id, 1, task_state::Success{MakeBytes("r"), {}, {}}});
  server_.store.away = true;
  auto results = Await(server_.sessions.Report(session, reports));
  ASSERT_THAT(results, SizeIs(2));
  EXPECT_TRUE(absl::IsUnavailable(results[0]) && absl::IsUnavailable(results[1]));
  EXPECT_EQ(server_.store.calls_while_away(), 1);
  server_.store.away = false;
  results = Await(server_.sessions.Report(session, reports));
  EXPECT_TRUE(results[0].ok() && results[1].ok());
}

TEST_F(StoreAwayTest, AReportWhoseAnswerWasLostCountsOnce) {
  const std::string session = server_.Connect(sink_);
  const std::string id = server_.Submit()->task_id;
  server_.Dispatch();
  server_.store.loses_replies = true;
  EXPECT_TRUE(absl::IsUnavailable(server_.Succeed(session, sink_->assigned[0])));
  server_.store.loses_replies = false;
  const int64_t version = Await(server_.store.Get(id))->version;
  EXPECT_TRUE(server_.Succeed(session, sink_->assigned[0]).ok());
  EXPECT_EQ(Await(server_.store.Get(id))->version, version);
}

TEST_F(StoreAwayTest, AWorkerThatComesBackMeanwhileIsToldToTryAgainAndKeepsItsSession) {
  const std::string session = server_.Connect(sink_);
  const std::string id = server_.Submit()->task_id;
  server_.Dispatch();
  server_.store.away = true;
  Hello hello{"svc", "worker-1", {}, 4, session, {{id, 1}}};
  hello.task_types.emplace_back().set_name("echo");
  auto again = std::make_shared<RecordingSink>();
  EXPECT_TRUE(absl::IsUnavailable(Await(server_.sessions.Connect(hello, again)).status()));
  server_.store.away = false;
  EXPECT_TRUE(Await(server_.sessions.Connect(hello, again))->resumed);
}

// Its own workers are safe by then, but those of the others may not have noticed yet.
TEST_F(StoreAwayTest, TheServerThatIsBackFirstDoesNotSweepBeforeTheOthersAreBack) {
  ServerDouble other(common_, clock_, random_);
  const std::string session = other.Connect(sink_);
  const std::string id = other.Submit()->task_id;
  other.Dispatch();
  server_.store.away = other.store.away = true;
  for (int i = 0; i < 10; ++i) {
    Pass(absl::Seconds(1));
    other.Tick();
    EXPECT_TRUE(Await(other.sessions.Heartbeat(session)).ok());
  }
  server_.store.away = other.store.away = false;
  Pass(absl::Milliseconds(500));
  EXPECT_EQ(server_.StatusOf(id), TaskStatus::kRunning);
  other.Tick();
  Pass(absl::Seconds(2));
  EXPECT_EQ(server_.StatusOf(id), TaskStatus::kRunning);
  EXPECT_TRUE(other.Succeed(session, sink_->assigned[0]).ok());
}

TEST_F(StoreAwayTest, FiguresSayDegradedAndWhatIsKnownHere) {
  server_.Connect(sink_);
  server_.store.away = true;
  const QueueReport report = Await(server_.engine.Report()).value();
  EXPECT_TRUE(report.degraded);
  EXPECT_THAT(report.workers, SizeIs(1));
  Pass(absl::Milliseconds(200));
  server_.store.away = false;
  EXPECT_TRUE(Await(server_.engine.Report())->degraded) << "no sweep has gone through yet";
  Pass(absl::Milliseconds(200));
  EXPECT_FALSE(Await(server_.engine.Report())->degraded);
}

}  // namespace
}  // namespace slipstream::task_queue
