// What every TaskStore must do, as one suite that takes the store as its parameter:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, TaskStoreContract, testing::Values(MakeMemoryStore));
//
// A maker gives a fresh, empty store with room for kContractTasksCount tasks, an aging step of
// kContractAgingStep and kContractRetry.
#ifndef SERVICES_TASK_QUEUE_CONTRACT_TASK_STORE_CONTRACT_H_
#define SERVICES_TASK_QUEUE_CONTRACT_TASK_STORE_CONTRACT_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/contract/await.h"
#include "services/task_queue/task_store.h"

namespace slipstream::task_queue {

inline constexpr int kContractTasksCount = 20;
inline constexpr absl::Duration kContractAgingStep = absl::Seconds(30);
inline constexpr task_state::RetryPolicy kContractRetry = {absl::Seconds(1), absl::Minutes(5)};

using MakeStore = std::function<std::unique_ptr<TaskStore>()>;

class TaskStoreContract : public testing::TestWithParam<MakeStore> {
 protected:
  TaskStoreContract() : store_(GetParam()()) {}

  NewTask Make(std::string id, std::string owner = "alice") {
    NewTask task;
    task.task_id = std::move(id);
    task.task_type = "echo";
    task.args = MakeBytes("args");
    task.owner = std::move(owner);
    task.max_attempts = 3;
    return task;
  }
  absl::StatusOr<Submitted> Submit(const NewTask& task) {
    return Await(store_->SubmitBatch({&task, 1}, false, now_)).value()[0];
  }
  void Open(const std::string& session) {
    ASSERT_TRUE(Await(store_->OpenSession({session, now_ + absl::Seconds(15), "worker"})).ok());
  }
  std::vector<TaskRecord> Lease(const std::string& session, int max = 1,
                                std::vector<std::string> names = {"echo"}) {
    std::vector<LeaseType> types;
    for (std::string& name : names) types.push_back({std::move(name)});
    auto leased = Await(store_->LeaseBatch(session, types, max, now_));
    EXPECT_TRUE(leased.ok()) << leased.status();
    return leased.ok() ? *leased : std::vector<TaskRecord>();
  }
  static LeaseKey KeyOf(const TaskRecord& task) {
    return {task.task_id, task.session_id, task.lease_epoch};
  }
  Reported Succeed(const LeaseKey& key) {
    const FinishRequest request{key, task_state::Success{MakeBytes("result"), {}, {}}};
    return Await(store_->FinishBatch({&request, 1}, now_)).value()[0];
  }
  Reported Fail(const LeaseKey& key, bool retryable) {
    const FinishRequest request{
        key, task_state::Failure{{"BOOM", "it broke", retryable}, absl::ZeroDuration(), {}, 0.5}};
    return Await(store_->FinishBatch({&request, 1}, now_)).value()[0];
  }
  Reported Progress(const LeaseKey& key, int percent) {
    const ProgressRequest request{key, percent, "working"};
    return Await(store_->ProgressBatch({&request, 1}, now_)).value()[0];
  }
  SweepResult Sweep() { return Await(store_->Sweep(now_, 1000, 0.5)).value(); }
  TaskRecord Get(const std::string& id) {
    auto task = Await(store_->Get(id));
    EXPECT_TRUE(task.ok()) << task.status();
    return task.ok() ? *task : TaskRecord();
  }
  static std::vector<std::string> Ids(const std::vector<TaskRecord>& tasks) {
    std::vector<std::string> ids;
    for (const TaskRecord& task : tasks) ids.push_back(task.task_id);
    return ids;
  }
  std::vector<std::string> OutboxTypes() {
    std::vector<std::string> types;
    const std::vector<OutboxEntry> entries = Await(store_->ReadOutbox(0, 0, 1000)).value();
    for (const OutboxEntry& entry : entries) types.push_back(entry.type);
    return types;
  }

  absl::Time now_ = absl::FromUnixSeconds(1767225600);
  std::unique_ptr<TaskStore> store_;
};

TEST_P(TaskStoreContract, ATaskGoesFromSubmitToItsResult) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Open("s1");
  const auto leased = Lease("s1");
  ASSERT_EQ(leased.size(), 1u);
  EXPECT_EQ(leased[0].status, TaskStatus::kRunning);
  EXPECT_EQ(leased[0].attempt, 1);
  EXPECT_EQ(leased[0].lease_epoch, 1);
  EXPECT_EQ(*leased[0].args, "args");
  now_ += absl::Seconds(1);
  EXPECT_TRUE(Progress(KeyOf(leased[0]), 40).status.ok());
  EXPECT_EQ(Get("t1").progress, 40);
  EXPECT_TRUE(Succeed(KeyOf(leased[0])).status.ok());
  const TaskRecord done = Get("t1");
  EXPECT_EQ(done.status, TaskStatus::kSucceeded);
  EXPECT_EQ(*done.result, "result");
  EXPECT_EQ(done.finished_at, now_);
  EXPECT_EQ(done.expires_at, now_ + absl::Hours(1));
  EXPECT_THAT(OutboxTypes(),
              testing::ElementsAre("task_started", "task_progress", "task_completed"));
}

TEST_P(TaskStoreContract, AnUnknownIdIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(Await(store_->Get("nobody")).status()));
  EXPECT_TRUE(absl::IsNotFound(Await(store_->Cancel("nobody", "", now_)).status()));
  EXPECT_TRUE(absl::IsNotFound(Await(store_->Restart("nobody", now_)).status()));
  EXPECT_TRUE(absl::IsNotFound(Succeed({"nobody", "s1", 1}).status));
  const std::vector<std::string> ids = {"nobody"};
  EXPECT_EQ(Await(store_->BulkGet(ids)).value()[0], std::nullopt);
}

TEST_P(TaskStoreContract, TheSameRequestIdGivesTheFirstTask) {
  NewTask first = Make("t1");
  first.request_id = "r";
  first.fingerprint = "f";
  NewTask again = first;
  again.task_id = "t2";
  ASSERT_TRUE(Submit(first).ok());
  const auto second = Submit(again);
  ASSERT_TRUE(second.ok());
  EXPECT_TRUE(second->duplicate);
  EXPECT_EQ(second->task.task_id, "t1");
  EXPECT_TRUE(absl::IsNotFound(Await(store_->Get("t2")).status()));

  NewTask other_content = again;
  other_content.fingerprint = "g";
  EXPECT_EQ(status::Reason(Submit(other_content).status()), kRequestIdReused);
  NewTask other_user = again;
  other_user.owner = "bob";
  EXPECT_FALSE(Submit(other_user)->duplicate);
  NewTask next_day = again;
  next_day.task_id = "t3";
  now_ += kRequestIdTtl;
  Sweep();
  EXPECT_FALSE(Submit(next_day)->duplicate);
}

TEST_P(TaskStoreContract, AFullQueueRefusesAndLosesNothing) {
  for (int i = 0; i < kContractTasksCount; ++i) ASSERT_TRUE(Submit(Make(absl::StrCat(i))).ok());
  const auto refused = Submit(Make("one-more"));
  EXPECT_EQ(status::Reason(refused.status()), kQueueFull);
  EXPECT_TRUE(status::RetryAfter(refused.status()).has_value());
  EXPECT_EQ(Get("0").status, TaskStatus::kPending);
}

TEST_P(TaskStoreContract, AllOrNothingTakesAllOrNone) {
  std::vector<NewTask> tasks;
  for (int i = 0; i <= kContractTasksCount; ++i) tasks.push_back(Make(absl::StrCat(i)));
  auto results = Await(store_->SubmitBatch(tasks, true, now_)).value();
  EXPECT_FALSE(results[0].ok());
  EXPECT_TRUE(absl::IsNotFound(Await(store_->Get("0")).status()));
  tasks.pop_back();
  results = Await(store_->SubmitBatch(tasks, true, now_)).value();
  for (const auto& result : results) EXPECT_TRUE(result.ok());
}

TEST_P(TaskStoreContract, OnlyAskedForTypesAreLeased) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Open("s1");
  EXPECT_TRUE(Lease("s1", 1, {"other"}).empty());
  EXPECT_THAT(Ids(Lease("s1", 1, {"other", "echo"})), testing::ElementsAre("t1"));
}

TEST_P(TaskStoreContract, HigherPrioritiesGoFirstAndEqualOnesByAge) {
  const std::vector<std::pair<std::string, TaskPriority>> order = {
      {"low", TaskPriority::kLow},
      {"n1", TaskPriority::kNormal},
      {"urgent", TaskPriority::kUrgent},
      {"n2", TaskPriority::kNormal},
      {"high", TaskPriority::kHigh}};
  for (const auto& [id, priority] : order) {
    NewTask task = Make(id);
    task.priority = priority;
    ASSERT_TRUE(Submit(task).ok());
    now_ += absl::Milliseconds(1);
  }
  Open("s1");
  EXPECT_THAT(Ids(Lease("s1", 10)), testing::ElementsAre("urgent", "high", "n1", "n2", "low"));
}

TEST_P(TaskStoreContract, AWaitingLowTaskIsOvertakenForThreeAgingStepsAtMost) {
  NewTask low = Make("low");
  low.priority = TaskPriority::kLow;
  ASSERT_TRUE(Submit(low).ok());
  Open("s1");
  now_ += 3 * kContractAgingStep - absl::Seconds(1);
  NewTask urgent = Make("u1");
  urgent.priority = TaskPriority::kUrgent;
  ASSERT_TRUE(Submit(urgent).ok());
  Open("s1");
  EXPECT_THAT(Ids(Lease("s1")), testing::ElementsAre("u1"));
  now_ += absl::Seconds(1);
  urgent.task_id = "u2";
  ASSERT_TRUE(Submit(urgent).ok());
  EXPECT_THAT(Ids(Lease("s1")), testing::ElementsAre("low"));
}

TEST_P(TaskStoreContract, TenantsTakeTurnsWhateverTheirBacklog) {
  for (int i = 0; i < 10; ++i) {
    NewTask task = Make(absl::StrCat("a", i));
    task.tenant = "busy";
    task.priority = TaskPriority::kUrgent;
    ASSERT_TRUE(Submit(task).ok());
  }
  Open("s1");
  Lease("s1", 3);
  NewTask single = Make("b0", "bob");
  single.tenant = "quiet";
  single.priority = TaskPriority::kLow;
  ASSERT_TRUE(Submit(single).ok());
  EXPECT_THAT(Ids(Lease("s1", 2)), testing::Contains("b0"));
}

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
  const SweepResult first = Await(store_->Sweep(now_, 3, 0.5)).value();
  EXPECT_EQ(first.changed.size(), 3u);
  EXPECT_TRUE(first.more);
  EXPECT_FALSE(Await(store_->Sweep(now_, 3, 0.5)).value().more);
}

TEST_P(TaskStoreContract, AListIsOnesOwnNewestFirstInPages) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(Submit(Make(absl::StrCat("a", i))).ok());
    now_ += absl::Milliseconds(1);
  }
  ASSERT_TRUE(Submit(Make("b", "bob")).ok());
  ListQuery query;
  query.owner = "alice";
  query.limit = 2;
  std::vector<std::string> seen;
  int pages = 0;
  do {
    const TaskPage page = Await(store_->ListByOwner(query)).value();
    for (const auto& id : Ids(page.tasks)) seen.push_back(id);
    query.after = page.next;
    ++pages;
  } while (!query.after.empty());
  EXPECT_THAT(seen, testing::ElementsAre("a4", "a3", "a2", "a1", "a0"));
  EXPECT_EQ(pages, 3);
  query = ListQuery{"alice", std::nullopt, {TaskStatus::kSucceeded}, "", "", 10};
  EXPECT_TRUE(Await(store_->ListByOwner(query)).value().tasks.empty());
  query = ListQuery{"alice", "another-tenant", {}, "", "", 10};
  EXPECT_TRUE(Await(store_->ListByOwner(query)).value().tasks.empty());
}

TEST_P(TaskStoreContract, PausedTypesAreNotLeased) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Open("s1");
  EXPECT_THAT(Await(store_->SetPaused("echo", true)).value(), testing::ElementsAre("echo"));
  EXPECT_TRUE(Lease("s1").empty());
  Await(store_->SetPaused("echo", false)).value();
  Await(store_->SetPaused("*", true)).value();
  EXPECT_TRUE(Lease("s1").empty());
  EXPECT_TRUE(Await(store_->SetPaused("*", false)).value().empty());
  EXPECT_EQ(Lease("s1").size(), 1u);
}

TEST_P(TaskStoreContract, TheOutboxKeepsOrderUntilAcknowledgedAndReplacesUnreadProgress) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Open("s1");
  const LeaseKey key = KeyOf(Lease("s1")[0]);
  Progress(key, 10);
  Progress(key, 20);
  auto entries = Await(store_->ReadOutbox(0, 0, 10)).value();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[1].task.progress, 20);
  EXPECT_EQ(entries[1].task.args, nullptr) << "arguments never leave with an event";
  // What has been handed out does not change under its key.
  Progress(key, 30);
  const auto again = Await(store_->ReadOutbox(0, 0, 10)).value();
  ASSERT_EQ(again.size(), 3u);
  EXPECT_EQ(again[1].idempotency_key, entries[1].idempotency_key);
  EXPECT_EQ(again[1].task.progress, 20);
  EXPECT_NE(again[2].idempotency_key, again[1].idempotency_key);
  EXPECT_LT(again[1].sequence, again[2].sequence);
  ASSERT_TRUE(Await(store_->AckOutbox(0, again[1].sequence)).ok());
  EXPECT_EQ(Await(store_->ReadOutbox(0, 0, 10)).value().size(), 1u);
  EXPECT_EQ(Await(store_->Stats()).value().outbox_count, 1);
}

TEST_P(TaskStoreContract, StatsCountTasksByStatusTypeAndPriority) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  ASSERT_TRUE(Submit(Make("t2")).ok());
  NewTask later = Make("t3");
  later.run_at = now_ + absl::Hours(1);
  ASSERT_TRUE(Submit(later).ok());
  Open("s1");
  Lease("s1");
  const StoreStats stats = Await(store_->Stats()).value();
  EXPECT_EQ(stats.by_status[static_cast<size_t>(TaskStatus::kRunning)], 1);
  EXPECT_EQ(stats.by_status[static_cast<size_t>(TaskStatus::kPending)], 1);
  ASSERT_EQ(stats.depths.size(), 1u);
  EXPECT_EQ(stats.depths[0].pending_count, 1);
  EXPECT_EQ(stats.depths[0].scheduled_count, 1);
  EXPECT_EQ(stats.depths[0].oldest_ready_at, now_);
}

TEST_P(TaskStoreContract, NothingIsLeasedToASessionThatHasEnded) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Open("s1");
  now_ += absl::Seconds(15);
  const std::vector<LeaseType> types = {{"echo"}};
  EXPECT_TRUE(absl::IsNotFound(Await(store_->LeaseBatch("s1", types, 1, now_)).status()));
}

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_CONTRACT_TASK_STORE_CONTRACT_H_
