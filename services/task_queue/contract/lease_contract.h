// What every TaskStore must do: sessions and the fence around leases.
#ifndef SERVICES_TASK_QUEUE_CONTRACT_LEASE_CONTRACT_H_
#define SERVICES_TASK_QUEUE_CONTRACT_LEASE_CONTRACT_H_

#include <string>
#include <vector>

#include "services/task_queue/contract/contract_fixture.h"

namespace slipstream::task_queue {

TEST_P(TaskStoreContract, AStaleEpochAndAForeignSessionAreRefused) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Open("s1");
  Open("s2");
  const LeaseKey held = KeyOf(Lease("s1")[0]);
  LeaseKey forged = held;
  forged.epoch = held.epoch + 1;
  EXPECT_EQ(status::Reason(Succeed(forged).status), task_state::kStaleLease);
  EXPECT_EQ(status::Reason(Progress(forged, 50).status), task_state::kStaleLease);
  LeaseKey foreign = held;
  foreign.session_id = "s2";
  EXPECT_EQ(status::Reason(Succeed(foreign).status), task_state::kStaleLease);
  EXPECT_EQ(Get("t1").status, TaskStatus::kRunning);
  EXPECT_TRUE(Succeed(held).status.ok());
}

TEST_P(TaskStoreContract, AnExpiredSessionsTasksGoToOthersAndItsReportsAreRefused) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Open("s1");
  const LeaseKey lost = KeyOf(Lease("s1")[0]);
  now_ += absl::Seconds(15);
  const SweepResult swept = Sweep();
  ASSERT_EQ(swept.ended_leases.size(), 1u);
  EXPECT_EQ(swept.ended_leases[0].reason, task_state::kStaleLease);
  EXPECT_EQ(Get("t1").status, TaskStatus::kPending);
  Open("s2");
  const auto leased = Lease("s2");
  ASSERT_EQ(leased.size(), 1u);
  EXPECT_EQ(leased[0].lease_epoch, lost.epoch + 1);
  EXPECT_EQ(leased[0].attempt, 1) << "a lost worker costs no attempt";
  EXPECT_EQ(status::Reason(Succeed(lost).status), task_state::kStaleLease);
  EXPECT_TRUE(Succeed(KeyOf(leased[0])).status.ok());
}

TEST_P(TaskStoreContract, RenewingASessionKeepsItsTasks) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Open("s1");
  Lease("s1");
  now_ += absl::Seconds(14);
  const std::vector<SessionLease> renewals = {{"s1", now_ + absl::Seconds(15), ""},
                                              {"gone", now_, ""}};
  EXPECT_THAT(Await(store_->RenewSessions(renewals, now_)).value(),
              testing::ElementsAre(true, false));
  now_ += absl::Seconds(14);
  EXPECT_TRUE(Sweep().ended_leases.empty());
  EXPECT_EQ(Get("t1").status, TaskStatus::kRunning);
}

TEST_P(TaskStoreContract, ATaskThatKeepsLosingItsWorkersEnds) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  for (int i = 0; i < task_state::kMaxLostLeasesCount; ++i) {
    Open("s1");
    ASSERT_EQ(Lease("s1").size(), 1u);
    now_ += absl::Seconds(15);
    Sweep();
  }
  EXPECT_EQ(Get("t1").status, TaskStatus::kFailed);
  EXPECT_EQ(Get("t1").error->reason, task_state::kWorkerLost);
}

TEST_P(TaskStoreContract, AReleasedTaskCostsNoAttemptAndKeepsItsPlace) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  now_ += absl::Seconds(1);
  ASSERT_TRUE(Submit(Make("t2")).ok());
  Open("s1");
  const LeaseKey key = KeyOf(Lease("s1")[0]);
  now_ += absl::Seconds(1);
  EXPECT_TRUE(Await(store_->ReleaseBatch({&key, 1}, now_)).value()[0].status.ok());
  EXPECT_TRUE(Await(store_->ReleaseBatch({&key, 1}, now_)).value()[0].repeated);
  const auto leased = Lease("s1");
  EXPECT_THAT(Ids(leased), testing::ElementsAre("t1"));
  EXPECT_EQ(leased[0].attempt, 1);
}

TEST_P(TaskStoreContract, ARepeatedReportIsAcceptedWithoutEffect) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Open("s1");
  const LeaseKey key = KeyOf(Lease("s1")[0]);
  ASSERT_TRUE(Succeed(key).status.ok());
  const int64_t version = Get("t1").version;
  const Reported again = Succeed(key);
  EXPECT_TRUE(again.status.ok());
  EXPECT_TRUE(again.repeated);
  EXPECT_EQ(Get("t1").version, version);
  EXPECT_THAT(OutboxTypes(), testing::ElementsAre("task_started", "task_completed"));
}

// Accepting these as "known already" would tell a worker that a result is kept which is not.
TEST_P(TaskStoreContract, AnotherReportAfterALeaseHasEndedIsStale) {
  NewTask task = Make("t1");
  task.attempt_deadline = absl::Seconds(10);
  ASSERT_TRUE(Submit(task).ok());
  Open("s1");
  const LeaseKey released = KeyOf(Lease("s1")[0]);
  EXPECT_TRUE(Await(store_->ReleaseBatch({&released, 1}, now_)).value()[0].status.ok());
  EXPECT_EQ(status::Reason(Succeed(released).status), task_state::kStaleLease);
  const LeaseKey overdue = KeyOf(Lease("s1")[0]);
  now_ += absl::Seconds(10);
  Sweep();
  EXPECT_EQ(Get("t1").status, TaskStatus::kScheduled);
  EXPECT_EQ(status::Reason(Fail(overdue, true).status), task_state::kStaleLease);
  EXPECT_EQ(status::Reason(Succeed(overdue).status), task_state::kStaleLease);
  now_ = *Get("t1").next_run_at;
  Sweep();
  Open("s1");
  const LeaseKey failed = KeyOf(Lease("s1")[0]);
  EXPECT_TRUE(Fail(failed, true).status.ok());
  EXPECT_TRUE(Fail(failed, true).repeated);
  EXPECT_EQ(status::Reason(Succeed(failed).status), task_state::kStaleLease);
}

TEST_P(TaskStoreContract, NothingIsLeasedToASessionThatHasEnded) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Open("s1");
  now_ += absl::Seconds(15);
  const std::vector<LeaseType> types = {{"echo"}};
  EXPECT_TRUE(absl::IsNotFound(Await(store_->LeaseBatch("s1", types, 1, now_)).status()));
}

TEST_P(TaskStoreContract, ASessionIsFoundWithItsUserAndWhatItHolds) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  ASSERT_TRUE(Submit(Make("t2")).ok());
  Open("s1");
  const auto leased = Lease("s1", 1);
  const auto found = Await(store_->FindSession("s1", now_));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->user, "worker");
  ASSERT_EQ(found->held.size(), 1u);
  EXPECT_EQ(found->held[0].task_id, leased[0].task_id);
  EXPECT_EQ(found->held[0].lease_epoch, 1);
  EXPECT_TRUE(absl::IsNotFound(Await(store_->FindSession("s2", now_)).status()));
  // A renewal names no user and takes none away.
  const SessionLease renewal{"s1", now_ + absl::Seconds(15), ""};
  ASSERT_TRUE(Await(store_->RenewSessions({&renewal, 1}, now_)).value()[0]);
  EXPECT_EQ(Await(store_->FindSession("s1", now_))->user, "worker");
  now_ += absl::Seconds(15);
  EXPECT_TRUE(absl::IsNotFound(Await(store_->FindSession("s1", now_)).status()));
}

TEST_P(TaskStoreContract, ALeaseCutToTheGraceTimeEndsThen) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Open("s1");
  Lease("s1");
  const SessionLease grace{"s1", now_ + absl::Seconds(2), ""};
  ASSERT_TRUE(Await(store_->RenewSessions({&grace, 1}, now_)).value()[0]);
  now_ += absl::Seconds(1);
  EXPECT_TRUE(Sweep().ended_leases.empty());
  now_ += absl::Seconds(1);
  EXPECT_EQ(Sweep().ended_leases.size(), 1u);
  EXPECT_EQ(Get("t1").status, TaskStatus::kPending);
}

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_CONTRACT_LEASE_CONTRACT_H_
