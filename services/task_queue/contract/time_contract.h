// What every TaskStore must do: retries, deadlines, expiry, cancel, restart, cleanup and purge.
#ifndef SERVICES_TASK_QUEUE_CONTRACT_TIME_CONTRACT_H_
#define SERVICES_TASK_QUEUE_CONTRACT_TIME_CONTRACT_H_

#include <string>
#include <vector>

#include "services/task_queue/contract/contract_fixture.h"

namespace slipstream::task_queue {

TEST_P(TaskStoreContract, ARetryableFailureRunsAgainAfterItsBackoffUntilAttemptsAreUsedUp) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Open("s1");
  ASSERT_TRUE(Fail(KeyOf(Lease("s1")[0]), true).status.ok());
  TaskRecord task = Get("t1");
  EXPECT_EQ(task.status, TaskStatus::kScheduled);
  // Half of one second plus half of the other half.
  EXPECT_EQ(task.next_run_at, now_ + absl::Milliseconds(750));
  EXPECT_TRUE(Lease("s1").empty());
  for (int attempt = 2; attempt <= 3; ++attempt) {
    now_ = *Get("t1").next_run_at;
    Sweep();
    Open("s1");
    const auto leased = Lease("s1");
    ASSERT_EQ(leased.size(), 1u);
    EXPECT_EQ(leased[0].attempt, attempt);
    ASSERT_TRUE(Fail(KeyOf(leased[0]), true).status.ok());
  }
  EXPECT_EQ(Get("t1").status, TaskStatus::kFailed);
  EXPECT_EQ(Get("t1").error->reason, "BOOM");
}

TEST_P(TaskStoreContract, AFailureThatIsNotRetryableEndsTheTask) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Open("s1");
  ASSERT_TRUE(Fail(KeyOf(Lease("s1")[0]), false).status.ok());
  EXPECT_EQ(Get("t1").status, TaskStatus::kFailed);
  EXPECT_THAT(OutboxTypes(), testing::ElementsAre("task_started", "task_failed"));
}

TEST_P(TaskStoreContract, AnAttemptOverItsDeadlineFailsAndItsLeaseEnds) {
  NewTask task = Make("t1");
  task.attempt_deadline = absl::Seconds(10);
  task.max_attempts = 1;
  ASSERT_TRUE(Submit(task).ok());
  Open("s1");
  const LeaseKey key = KeyOf(Lease("s1")[0]);
  now_ += absl::Seconds(10);
  const SweepResult swept = Sweep();
  ASSERT_EQ(swept.ended_leases.size(), 1u);
  EXPECT_EQ(swept.ended_leases[0].lease.task_id, "t1");
  EXPECT_EQ(swept.ended_leases[0].lease.session_id, "s1");
  EXPECT_EQ(swept.ended_leases[0].reason, task_state::kDeadlineExceeded);
  EXPECT_EQ(Get("t1").status, TaskStatus::kFailed);
  EXPECT_EQ(status::Reason(Progress(key, 90).status), task_state::kTaskFinished);
}

TEST_P(TaskStoreContract, ADelayedTaskBecomesReadyAtItsTime) {
  NewTask task = Make("t1");
  task.run_at = now_ + absl::Seconds(10);
  ASSERT_TRUE(Submit(task).ok());
  Open("s1");
  EXPECT_EQ(Get("t1").status, TaskStatus::kScheduled);
  now_ += absl::Seconds(9);
  Sweep();
  EXPECT_TRUE(Lease("s1").empty());
  now_ += absl::Seconds(1);
  Sweep();
  EXPECT_EQ(Get("t1").status, TaskStatus::kPending);
  EXPECT_EQ(Lease("s1").size(), 1u);
}

TEST_P(TaskStoreContract, ATaskNotStartedInTimeExpiresButARunningOneDoesNot) {
  for (const char* id : {"t1", "t2"}) {
    NewTask task = Make(id);
    task.expires_in = absl::Seconds(10);
    ASSERT_TRUE(Submit(task).ok());
  }
  Open("s1");
  ASSERT_THAT(Ids(Lease("s1")), testing::ElementsAre("t1"));
  now_ += absl::Seconds(10);
  Sweep();
  EXPECT_EQ(Get("t1").status, TaskStatus::kRunning);
  EXPECT_EQ(Get("t2").status, TaskStatus::kExpired);
  EXPECT_THAT(OutboxTypes(), testing::ElementsAre("task_started", "task_failed"));
}

TEST_P(TaskStoreContract, CancelEndsWaitingAndRunningTasksAndIsRepeatable) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  ASSERT_TRUE(Submit(Make("t2")).ok());
  Open("s1");
  const LeaseKey key = KeyOf(Lease("s1")[0]);
  const auto running = Await(store_->Cancel("t1", "enough", now_)).value();
  EXPECT_TRUE(running.changed);
  EXPECT_EQ(running.session_id, "s1");
  EXPECT_EQ(running.epoch, key.epoch);
  EXPECT_EQ(running.task.status, TaskStatus::kCancelled);
  EXPECT_EQ(status::Reason(Succeed(key).status), task_state::kTaskFinished);
  EXPECT_FALSE(Await(store_->Cancel("t1", "", now_)).value().changed);
  const auto waiting = Await(store_->Cancel("t2", "", now_)).value();
  EXPECT_TRUE(waiting.session_id.empty());
  EXPECT_TRUE(Lease("s1").empty());
}

TEST_P(TaskStoreContract, AnEndedTaskCannotBeCancelled) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Open("s1");
  ASSERT_TRUE(Succeed(KeyOf(Lease("s1")[0])).status.ok());
  EXPECT_EQ(status::Reason(Await(store_->Cancel("t1", "", now_)).status()),
            task_state::kTaskFinished);
}

TEST_P(TaskStoreContract, ARestartRunsAFailedTaskAnewUnderAHigherEpoch) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Open("s1");
  const LeaseKey old = KeyOf(Lease("s1")[0]);
  EXPECT_FALSE(Await(store_->Restart("t1", now_)).ok());
  ASSERT_TRUE(Fail(old, false).status.ok());
  const auto restarted = Await(store_->Restart("t1", now_));
  ASSERT_TRUE(restarted.ok()) << restarted.status();
  EXPECT_EQ(restarted->status, TaskStatus::kPending);
  EXPECT_EQ(restarted->error, std::nullopt);
  const auto leased = Lease("s1");
  ASSERT_EQ(leased.size(), 1u);
  EXPECT_GT(leased[0].lease_epoch, old.epoch);
  EXPECT_EQ(leased[0].attempt, 1);
  ASSERT_TRUE(Succeed(KeyOf(leased[0])).status.ok());
  EXPECT_FALSE(Await(store_->Restart("t1", now_)).ok()) << "a task that SUCCEEDED stays so";
}

TEST_P(TaskStoreContract, ResultsAreForgottenAfterTheirTime) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Await(store_->Cancel("t1", "", now_)).value();
  now_ += absl::Hours(1) - absl::Seconds(1);
  EXPECT_EQ(Sweep().forgotten_count, 0);
  now_ += absl::Seconds(1);
  EXPECT_EQ(Sweep().forgotten_count, 1);
  EXPECT_TRUE(absl::IsNotFound(Await(store_->Get("t1")).status()));
}

TEST_P(TaskStoreContract, CleanupForgetsEndedTasksOnlyAndADryRunNone) {
  ASSERT_TRUE(Submit(Make("ended")).ok());
  ASSERT_TRUE(Submit(Make("waiting")).ok());
  Await(store_->Cancel("ended", "", now_)).value();
  now_ += absl::Seconds(10);
  CleanupQuery query{now_, true};
  EXPECT_EQ(Await(store_->Cleanup(query, now_)).value().removed_count, 1);
  query.dry_run = false;
  EXPECT_EQ(Await(store_->Cleanup(query, now_)).value().removed_count, 1);
  EXPECT_TRUE(absl::IsNotFound(Await(store_->Get("ended")).status()));
  EXPECT_EQ(Get("waiting").status, TaskStatus::kPending);
}

TEST_P(TaskStoreContract, ASweepStopsAtItsBoundAndSaysSo) {
  for (int i = 0; i < 5; ++i) {
    NewTask task = Make(absl::StrCat(i));
    task.run_at = now_ + absl::Seconds(1);
    ASSERT_TRUE(Submit(task).ok());
  }
  now_ += absl::Seconds(1);
  const SweepResult first = Sweep(3);
  EXPECT_EQ(first.changed.size(), 3u);
  EXPECT_TRUE(first.more);
  EXPECT_FALSE(Sweep(3).more);
}

TEST_P(TaskStoreContract, PurgeRemovesDeadAndWaitingTasksOfATypeAndTenant) {
  const auto submit = [&](const char* id, const char* type, const char* tenant) {
    NewTask task = Make(id);
    task.task_type = type;
    task.tenant = tenant;
    ASSERT_TRUE(Submit(task).ok());
  };
  submit("dead", "echo", "acme");
  Open("s1");
  ASSERT_TRUE(Fail(KeyOf(Lease("s1")[0]), false).status.ok());
  submit("running", "echo", "acme");
  ASSERT_EQ(Lease("s1").size(), 1u);
  submit("waiting", "echo", "acme");
  submit("of-other-type", "other", "acme");
  submit("of-other-tenant", "echo", "rival");

  PurgeQuery query;
  query.task_type = "echo";
  query.statuses = {TaskStatus::kFailed};
  query.tenant = "rival";
  EXPECT_EQ(Await(store_->Purge(query, now_)).value().purged_count, 0);
  query.tenant = "acme";
  query.dry_run = true;
  PurgeResult result = Await(store_->Purge(query, now_)).value();
  EXPECT_EQ(result.purged_count, 1);
  EXPECT_TRUE(result.purged.empty());
  EXPECT_EQ(Get("dead").status, TaskStatus::kFailed);
  query.dry_run = false;
  EXPECT_THAT(Ids(Await(store_->Purge(query, now_)).value().purged), testing::ElementsAre("dead"));
  EXPECT_TRUE(absl::IsNotFound(Await(store_->Get("dead")).status()));

  query.statuses = {TaskStatus::kPending, TaskStatus::kScheduled};
  result = Await(store_->Purge(query, now_)).value();
  ASSERT_THAT(Ids(result.purged), testing::ElementsAre("waiting"));
  EXPECT_EQ(result.purged[0].status, TaskStatus::kCancelled);
  EXPECT_EQ(result.purged[0].args, nullptr);
  EXPECT_TRUE(absl::IsNotFound(Await(store_->Get("waiting")).status()));
  EXPECT_EQ(Get("running").status, TaskStatus::kRunning);
  EXPECT_EQ(OutboxTypes().back(), "task_cancelled") << "its owner is told";
  query = {"*", {TaskStatus::kPending}, std::nullopt, false, 1};
  EXPECT_TRUE(Await(store_->Purge(query, now_)).value().more);
  EXPECT_EQ(Await(store_->Purge(query, now_)).value().purged_count, 1);
  EXPECT_EQ(Await(store_->Purge(query, now_)).value().purged_count, 0);
}

TEST_P(TaskStoreContract, PurgingAWaitingTaskCancelsThoseThatDependOnItAndFreesItsKeys) {
  NewTask first = Make("a");
  first.unique_key = "u";
  first.concurrency_key = "c";
  ASSERT_TRUE(Submit(first).ok());
  NewTask next = Make("b");
  next.task_type = "other";
  next.depends_on = {"a"};
  ASSERT_TRUE(Submit(next).ok());
  const PurgeQuery query{"echo", {TaskStatus::kPending}, std::nullopt, false, 100};
  EXPECT_EQ(Await(store_->Purge(query, now_)).value().purged_count, 1);
  SweepAll();
  EXPECT_EQ(Get("b").status, TaskStatus::kCancelled);
  first.task_id = "a2";
  ASSERT_TRUE(Submit(first).ok());
  Open("s1");
  EXPECT_THAT(Ids(Lease("s1", 5)), testing::ElementsAre("a2"));
}

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_CONTRACT_TIME_CONTRACT_H_
