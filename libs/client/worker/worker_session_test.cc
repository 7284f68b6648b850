// The worker's side of the protocol, message by message, on a clock of the test's own.
#include "libs/client/worker/worker_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libs/client/worker/task.h"
#include "libs/status/status.h"

namespace slipstream::worker_client {
namespace {

using task_queue::v1::WorkRequest;
using task_queue::v1::WorkResponse;

class WorkerSessionTest : public testing::Test {
 protected:
  void SetUp() override { Make(2); }
  void Make(int slots) {
    WorkerSession::Options options;
    options.name = "test";
    options.types.emplace_back().set_name("echo");
    options.slots = slots;
    session_ = std::make_unique<WorkerSession>(options);
  }
  void Say(const WorkResponse& response) {
    session_->OnResponse(std::make_shared<const WorkResponse>(response), now_, wall_);
  }
  WorkRequest::Hello Connect(bool resumed = false, std::vector<std::string> lost = {}) {
    const WorkRequest hello = session_->Hello(now_);
    WorkResponse welcome;
    welcome.mutable_welcome()->set_session_id("s1");
    welcome.mutable_welcome()->set_heartbeat_interval_ms(1000);
    welcome.mutable_welcome()->set_resumed(resumed);
    for (auto& id : lost) welcome.mutable_welcome()->add_lost_task_ids(id);
    Say(welcome);
    return hello.hello();
  }
  void Assign(const std::string& id, int64_t epoch = 1, absl::Duration deadline = absl::Hours(1)) {
    WorkResponse response;
    auto& assignment = *response.mutable_assignment();
    assignment.set_task_id(id);
    assignment.set_task_type("echo");
    assignment.set_lease_epoch(epoch);
    assignment.mutable_deadline()->set_seconds(absl::ToUnixSeconds(wall_ + deadline));
    Say(response);
  }
  void Cancel(const std::string& id, int64_t epoch = 1) {
    WorkResponse response;
    response.mutable_cancel()->set_task_id(id);
    response.mutable_cancel()->set_lease_epoch(epoch);
    response.mutable_cancel()->set_reason("CANCELLED");
    Say(response);
  }
  void Ack(const std::string& id, int64_t epoch, const std::string& reason = "") {
    WorkResponse response;
    response.mutable_ack()->set_task_id(id);
    response.mutable_ack()->set_lease_epoch(epoch);
    response.mutable_ack()->set_accepted(reason.empty());
    if (!reason.empty()) {
      *response.mutable_ack()->mutable_error() =
          status::ToRpcStatus(status::Error(absl::StatusCode::kAborted, reason, "refused"));
    }
    Say(response);
  }
  void Succeed(const std::string& id, int64_t epoch = 1) {
    WorkRequest request;
    request.mutable_success()->set_task_id(id);
    request.mutable_success()->set_lease_epoch(epoch);
    session_->Finish({id, epoch}, request);
  }
  std::vector<std::string> Started() {
    std::vector<std::string> ids;
    for (auto& a : session_->TakeTaskActions(now_).start) ids.push_back(a->task_id());
    return ids;
  }
  static WorkRequest Parsed(const std::string& message) {
    WorkRequest request;
    EXPECT_TRUE(request.ParseFromString(message));
    return request;
  }
  // One word per message: what went out, batches opened.
  std::vector<std::string> Sent() {
    std::vector<std::string> out;
    for (const std::string& message : session_->TakeStreamActions(now_).send) {
      const WorkRequest request = Parsed(message);
      if (request.has_batch()) {
        for (const WorkRequest& one : request.batch().requests()) out.push_back(Word(one));
      } else {
        out.push_back(Word(request));
      }
    }
    return out;
  }
  static std::string Word(const WorkRequest& r) {
    switch (r.message_case()) {
      case WorkRequest::kHeartbeat:
        return "heartbeat";
      case WorkRequest::kProgress:
        return "progress " + r.progress().task_id() + " " + std::to_string(r.progress().percent());
      case WorkRequest::kSuccess:
        return "success " + r.success().task_id();
      case WorkRequest::kFailure:
        return "failure " + r.failure().task_id() + " " + r.failure().reason();
      case WorkRequest::kRelease:
        return "release " + r.release().task_id();
      case WorkRequest::kSlots:
        return "slots " + std::to_string(r.slots().free_slots());
      default:
        return "?";
    }
  }
  using Words = std::vector<std::string>;

  std::unique_ptr<WorkerSession> session_;
  absl::Duration now_ = absl::Hours(1);
  absl::Time wall_ = absl::FromUnixSeconds(1767225600);
};

TEST_F(WorkerSessionTest, HelloAnnouncesWhatItCanDo) {
  const auto hello = Connect();
  EXPECT_EQ(hello.worker_name(), "test");
  EXPECT_EQ(hello.slots(), 2);
  EXPECT_TRUE(hello.accepts_batches());
  EXPECT_EQ(hello.task_types(0).name(), "echo");
  EXPECT_EQ(hello.session_id(), "");
  EXPECT_TRUE(session_->online());
}

TEST_F(WorkerSessionTest, AnUnansweredHelloIsGivenUp) {
  session_->Hello(now_);
  EXPECT_EQ(session_->GiveUpAt(), now_ + absl::Seconds(5));
  session_->OnDisconnected();
  EXPECT_EQ(session_->GiveUpAt(), absl::InfiniteDuration());
}

TEST_F(WorkerSessionTest, AServerThatAnswersNoHeartbeatIsGivenUp) {
  EXPECT_TRUE(session_->Hello(now_).hello().accepts_heartbeat_acks());
  WorkResponse welcome;
  welcome.mutable_welcome()->set_heartbeat_interval_ms(1000);
  welcome.mutable_welcome()->set_acks_heartbeats(true);
  Say(welcome);
  EXPECT_EQ(session_->GiveUpAt(), now_ + absl::Seconds(2));
  now_ += absl::Seconds(1);
  WorkResponse ack;
  ack.mutable_heartbeat_ack();
  Say(ack);
  EXPECT_EQ(session_->GiveUpAt(), now_ + absl::Seconds(2));
  now_ += absl::Seconds(1);
  Assign("a");  // any message will do
  EXPECT_EQ(session_->GiveUpAt(), now_ + absl::Seconds(2));
}

TEST_F(WorkerSessionTest, AServerThatPromisesNoAnswersIsNotGivenUp) {
  Connect();
  EXPECT_EQ(session_->GiveUpAt(), absl::InfiniteDuration());
}

TEST_F(WorkerSessionTest, HeartbeatsAtHalfTheInterval) {
  Connect();
  EXPECT_EQ(Sent(), Words{});
  EXPECT_EQ(session_->NextDue(), now_ + absl::Milliseconds(500));
  now_ += absl::Milliseconds(500);
  EXPECT_EQ(Sent(), Words{"heartbeat"});
  EXPECT_EQ(Sent(), Words{});
}

TEST_F(WorkerSessionTest, ASuccessIsOwedUntilAcknowledged) {
  Connect();
  Assign("a");
  EXPECT_EQ(Started(), Words{"a"});
  Succeed("a");
  EXPECT_EQ(Sent(), Words{"success a"});
  EXPECT_EQ(Sent(), Words{});
  EXPECT_EQ(session_->stats().unacked_count, 1);
  Ack("a", 1);
  EXPECT_EQ(session_->stats().unacked_count, 0);
  EXPECT_EQ(session_->stats().succeeded_total, 1);
}

TEST_F(WorkerSessionTest, AResultIsSentAgainOnTheNextStream) {
  Connect();
  Assign("a");
  Assign("b");
  Succeed("a");
  EXPECT_EQ(Sent(), Words{"success a"});
  session_->OnDisconnected();
  EXPECT_EQ(Sent(), Words{});
  const auto hello = Connect(true);
  EXPECT_EQ(hello.session_id(), "s1");
  EXPECT_EQ(hello.held_tasks_size(), 2);
  EXPECT_EQ(Sent(), Words{"success a"});
  EXPECT_TRUE(session_->TakeTaskActions(now_).stop.empty());
  EXPECT_EQ(session_->stats().resumed_total, 1);
}

TEST_F(WorkerSessionTest, LeasesThatAreGoneStopTheirTasks) {
  Connect();
  Assign("a");
  Assign("b");
  Started();
  session_->OnDisconnected();
  Connect(true, {"b"});
  auto actions = session_->TakeTaskActions(now_);
  ASSERT_EQ(actions.stop.size(), 1u);
  EXPECT_EQ(actions.stop[0].first.task_id, "b");
  EXPECT_EQ(actions.stop[0].second, kStaleLease);
  // What it still reports goes nowhere; its slot is free once it has returned.
  EXPECT_EQ(Sent(), Words{"slots 0"});
  Succeed("b");
  EXPECT_EQ(Sent(), Words{"slots 1"});
  EXPECT_EQ(session_->stats().lost_total, 1);
}

TEST_F(WorkerSessionTest, ANewSessionKeepsNoLeaseButHandsResultsIn) {
  Connect();
  Assign("a");
  Assign("b");
  Started();
  Succeed("a");
  session_->OnDisconnected();
  Connect(false);
  EXPECT_EQ(session_->TakeTaskActions(now_).stop.size(), 1u);
  // "b" winds down, so one slot less than the hello said.
  EXPECT_EQ(Sent(), (Words{"success a", "slots 1"}));
  Ack("a", 1, "STALE_LEASE");
  EXPECT_EQ(session_->stats().unacked_count, 0);
  EXPECT_EQ(session_->stats().stale_total, 1);
}

TEST_F(WorkerSessionTest, ACancelledTaskStopsAndSaysNoMore) {
  Connect();
  Assign("a");
  Started();
  Cancel("a", 7);  // another lease
  EXPECT_TRUE(session_->TakeTaskActions(now_).stop.empty());
  Cancel("a");
  auto actions = session_->TakeTaskActions(now_);
  ASSERT_EQ(actions.stop.size(), 1u);
  EXPECT_EQ(actions.stop[0].second, "CANCELLED");
  session_->Progress({"a", 1}, 50, "half");
  EXPECT_EQ(Sent(), Words{"slots 1"});
  Succeed("a");
  EXPECT_EQ(Sent(), Words{"slots 2"});
  EXPECT_EQ(session_->stats().cancelled_total, 1);
}

TEST_F(WorkerSessionTest, TheSameTaskMayComeAgainWhileTheOldLeaseWindsDown) {
  Connect();
  Assign("a", 1);
  Started();
  Cancel("a", 1);
  Assign("a", 2);
  EXPECT_EQ(Started(), Words{"a"});
  Succeed("a", 1);
  Succeed("a", 2);
  EXPECT_EQ(Sent(), (Words{"success a", "slots 2"}));
  Ack("a", 2);
  EXPECT_EQ(session_->stats().succeeded_total, 1);
}

TEST_F(WorkerSessionTest, AssignmentsBeyondTheSlotsWaitAndThenGoBack) {
  Connect();
  for (const char* id : {"a", "b", "c", "d", "e"}) Assign(id);
  EXPECT_EQ(Started(), (Words{"a", "b"}));
  EXPECT_EQ(session_->stats().waiting_count, 2);
  EXPECT_EQ(Sent(), Words{"release e"});
  Cancel("c");
  Succeed("a");
  EXPECT_EQ(Started(), Words{"d"});
  // The queue learns that it had taken this worker for larger than it is.
  EXPECT_EQ(Sent(), (Words{"success a", "slots 0"}));
  // The queue gives nothing until it hears of a free slot.
  Succeed("b");
  EXPECT_EQ(Sent(), (Words{"success b", "slots 1"}));
}

TEST_F(WorkerSessionTest, ProgressIsConflatedAndNeverFalls) {
  Connect();
  Assign("a");
  Started();
  session_->Progress({"a", 1}, 10, "ten");
  session_->Progress({"a", 1}, 30, "thirty");
  session_->Progress({"a", 1}, 20, "less");
  EXPECT_EQ(Sent(), Words{"progress a 30"});
  session_->Progress({"a", 1}, 170, "much");
  EXPECT_EQ(Sent(), Words{});
  EXPECT_EQ(session_->NextDue(), now_ + absl::Milliseconds(100));
  now_ += absl::Milliseconds(100);
  EXPECT_EQ(Sent(), Words{"progress a 100"});
  // The last step goes out with the result.
  session_->Progress({"a", 1}, 100, "done");
  Succeed("a");
  EXPECT_EQ(Sent(), (Words{"progress a 100", "success a"}));
}

TEST_F(WorkerSessionTest, ARefusedProgressEndsTheTask) {
  Connect();
  Assign("a");
  Started();
  Ack("a", 1, "STALE_LEASE");
  auto actions = session_->TakeTaskActions(now_);
  EXPECT_EQ(actions.stop.size(), 1u);
  EXPECT_EQ(actions.refusals.size(), 1u);
  EXPECT_EQ(session_->stats().stale_total, 1);
}

TEST_F(WorkerSessionTest, AResultThatTheQueueCannotReadFailsTheTask) {
  Connect();
  Assign("a");
  Succeed("a");
  Sent();
  Ack("a", 1, "INVALID_FIELD");
  EXPECT_EQ(Sent(), Words{"failure a INVALID_RESULT"});
  Ack("a", 1);
  EXPECT_EQ(session_->stats().failed_total, 1);
  EXPECT_EQ(session_->stats().unacked_count, 0);
}

TEST_F(WorkerSessionTest, ADeadlineStopsTheTaskEvenWhenTheQueueIsAway) {
  Connect();
  Assign("a", 1, absl::Seconds(10));
  Started();
  session_->OnDisconnected();
  EXPECT_EQ(session_->NextDue(), now_ + absl::Seconds(11));
  now_ += absl::Seconds(11);
  auto actions = session_->TakeTaskActions(now_);
  ASSERT_EQ(actions.stop.size(), 1u);
  EXPECT_EQ(actions.stop[0].second, kDeadlineExceeded);
  EXPECT_TRUE(session_->TakeTaskActions(now_).stop.empty());
}

TEST_F(WorkerSessionTest, ADrainLetsTasksEndAndHandsBackTheRest) {
  Make(2);
  Connect();
  for (const char* id : {"a", "b", "c"}) Assign(id);
  Started();
  session_->Drain(now_ + absl::Seconds(10));
  EXPECT_EQ(Sent(), (Words{"release c", "slots 0"}));
  Ack("c", 1);
  Assign("d");  // was on its way
  EXPECT_EQ(Started(), Words{});
  EXPECT_EQ(Sent(), Words{"release d"});
  Ack("d", 1);
  Succeed("a");
  EXPECT_EQ(Sent(), Words{"success a"});
  Ack("a", 1);
  EXPECT_FALSE(session_->Drained(now_));
  now_ += absl::Seconds(10);
  auto actions = session_->TakeTaskActions(now_);
  ASSERT_EQ(actions.stop.size(), 1u);
  EXPECT_EQ(actions.stop[0].second, kDrain);
  EXPECT_EQ(Sent(), (Words{"heartbeat", "release b"}));
  EXPECT_FALSE(session_->Drained(now_));
  Ack("b", 1);
  EXPECT_TRUE(session_->Drained(now_));
  EXPECT_TRUE(session_->TakeStreamActions(now_).finish);
  Succeed("b");  // too late
  EXPECT_EQ(session_->stats().released_total, 3);
  EXPECT_EQ(session_->stats().unacked_count, 0);
}

TEST_F(WorkerSessionTest, ADrainWithoutAnAnswerEndsAllTheSame) {
  Connect();
  Assign("a");
  Started();
  session_->OnDisconnected();
  session_->Drain(now_);
  session_->TakeTaskActions(now_);
  EXPECT_FALSE(session_->Drained(now_));
  EXPECT_EQ(session_->NextDue(), now_ + absl::Seconds(2));
  EXPECT_TRUE(session_->Drained(now_ + absl::Seconds(2)));
}

TEST_F(WorkerSessionTest, AServerThatGoesAwayIsLeftOnceNothingIsHeld) {
  Connect();
  Assign("a");
  Started();
  WorkResponse drain;
  drain.mutable_drain()->set_grace_ms(1000);
  Say(drain);
  EXPECT_FALSE(session_->TakeStreamActions(now_).finish);
  Succeed("a");
  EXPECT_FALSE(session_->TakeStreamActions(now_).finish);
  Ack("a", 1);
  EXPECT_TRUE(session_->TakeStreamActions(now_).finish);
}

TEST_F(WorkerSessionTest, BatchesAreOpenedAndMade) {
  Make(1000);
  Connect();
  WorkResponse response;
  for (int i = 0; i < 600; ++i) {
    auto& assignment = *response.mutable_batch()->add_responses()->mutable_assignment();
    assignment.set_task_id(std::to_string(i));
    assignment.set_lease_epoch(1);
  }
  Say(response);
  EXPECT_EQ(Started().size(), 600u);
  for (int i = 0; i < 600; ++i) Succeed(std::to_string(i));
  const auto actions = session_->TakeStreamActions(now_);
  ASSERT_EQ(actions.send.size(), 3u);
  EXPECT_EQ(Parsed(actions.send[0]).batch().requests_size(), kMaxBatchCount);
  int next = 0;
  for (const std::string& message : actions.send) {
    const WorkRequest batch = Parsed(message);
    for (const WorkRequest& one : batch.batch().requests()) {
      EXPECT_EQ(one.success().task_id(), std::to_string(next++));
    }
  }
  EXPECT_EQ(next, 600);
}

TEST_F(WorkerSessionTest, ABatchHasABoundInBytesToo) {
  Make(100);
  Connect();
  for (int i = 0; i < 5; ++i) Assign(std::to_string(i));
  EXPECT_EQ(Started().size(), 5u);
  for (int i = 0; i < 5; ++i) {
    WorkRequest request;
    request.mutable_success()->set_task_id(std::to_string(i));
    request.mutable_success()->set_lease_epoch(1);
    (*request.mutable_success()->mutable_result()->mutable_fields())["text"].set_string_value(
        std::string(kMaxBatchBytes * 2 / 5, 'x'));
    session_->Finish({std::to_string(i), 1}, request);
  }
  const auto actions = session_->TakeStreamActions(now_);
  ASSERT_EQ(actions.send.size(), 3u);
  EXPECT_EQ(Parsed(actions.send[0]).batch().requests_size(), 2);
  EXPECT_EQ(Parsed(actions.send[2]).batch().requests_size(), 1);
}

TEST_F(WorkerSessionTest, WaitingTasksDoNotKeepTheMessageTheyCameIn) {
  Make(1);
  Connect();
  auto response = std::make_shared<WorkResponse>();
  for (const char* id : {"a", "b"}) {
    auto& assignment = *response->mutable_batch()->add_responses()->mutable_assignment();
    assignment.set_task_id(id);
    assignment.set_lease_epoch(1);
  }
  const std::weak_ptr<WorkResponse> message = response;
  session_->OnResponse(std::move(response), now_, wall_);
  EXPECT_THAT(Started(), testing::ElementsAre("a"));
  EXPECT_TRUE(message.expired());
  Succeed("a");
  EXPECT_THAT(Started(), testing::ElementsAre("b"));
}

}  // namespace
}  // namespace slipstream::worker_client
