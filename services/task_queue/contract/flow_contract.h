// What every TaskStore must do: tasks that depend on others.
#ifndef SERVICES_TASK_QUEUE_CONTRACT_FLOW_CONTRACT_H_
#define SERVICES_TASK_QUEUE_CONTRACT_FLOW_CONTRACT_H_

#include <string>
#include <vector>

#include "services/task_queue/contract/contract_fixture.h"

namespace slipstream::task_queue {

TEST_P(TaskStoreContract, ATaskStartsAfterThoseItDependsOn) {
  ASSERT_TRUE(Submit(Make("a")).ok());
  ASSERT_TRUE(Submit(Make("b")).ok());
  NewTask join = Make("join");
  join.depends_on = {"a", "b"};
  const auto submitted = Submit(join);
  ASSERT_TRUE(submitted.ok()) << submitted.status();
  EXPECT_EQ(submitted->task.status, TaskStatus::kScheduled);
  EXPECT_THAT(submitted->task.waits_for, testing::UnorderedElementsAre("a", "b"));
  Open("s1");
  const auto leased = Lease("s1", 5);
  ASSERT_THAT(Ids(leased), testing::UnorderedElementsAre("a", "b"));
  now_ += absl::Seconds(1);
  ASSERT_TRUE(Succeed(KeyOf(leased[0])).status.ok());
  SweepAll();
  EXPECT_TRUE(Lease("s1").empty());
  ASSERT_TRUE(Succeed(KeyOf(leased[1])).status.ok());
  EXPECT_TRUE(Succeed(KeyOf(leased[1])).repeated) << "a join happens once";
  const auto joined = Lease("s1", 5);
  EXPECT_THAT(Ids(joined), testing::ElementsAre("join")) << "it need not wait for a sweep";
  EXPECT_THAT(Get("join").depends_on, testing::UnorderedElementsAre("a", "b"));
  EXPECT_EQ(Get("join").ready_at, now_);
}

TEST_P(TaskStoreContract, OneTaskReleasesAllThatWaitForIt) {
  ASSERT_TRUE(Submit(Make("root")).ok());
  for (int i = 0; i < 10; ++i) {
    NewTask leaf = Make(absl::StrCat("leaf", i));
    leaf.depends_on = {"root"};
    ASSERT_TRUE(Submit(leaf).ok());
  }
  Open("s1");
  ASSERT_TRUE(Succeed(KeyOf(Lease("s1", 5)[0])).status.ok());
  EXPECT_EQ(Lease("s1", 20).size(), 10u);
}

TEST_P(TaskStoreContract, WhatHasSucceededIsNotWaitedFor) {
  ASSERT_TRUE(Submit(Make("a")).ok());
  Open("s1");
  ASSERT_TRUE(Succeed(KeyOf(Lease("s1")[0])).status.ok());
  NewTask next = Make("b");
  next.depends_on = {"a"};
  const auto submitted = Submit(next);
  ASSERT_TRUE(submitted.ok());
  EXPECT_EQ(submitted->task.status, TaskStatus::kPending);
  EXPECT_TRUE(submitted->task.waits_for.empty());
}

TEST_P(TaskStoreContract, ADependencyThatFailsCancelsAllThatWaitForItTransitively) {
  ASSERT_TRUE(Submit(Make("a")).ok());
  std::string before = "a";
  for (const char* id : {"b", "c", "d"}) {
    NewTask task = Make(id);
    task.depends_on = {before};
    ASSERT_TRUE(Submit(task).ok());
    before = id;
  }
  Open("s1");
  ASSERT_TRUE(Fail(KeyOf(Lease("s1")[0]), false).status.ok());
  SweepAll();
  for (const char* id : {"b", "c", "d"}) {
    EXPECT_EQ(Get(id).status, TaskStatus::kCancelled) << id;
    EXPECT_EQ(Get(id).error->reason, task_state::kDependencyFailed);
  }
  EXPECT_THAT(OutboxTypes(), testing::ElementsAre("task_started", "task_failed", "task_cancelled",
                                                  "task_cancelled", "task_cancelled"));
}

TEST_P(TaskStoreContract, EveryOtherEndOfADependencyCancelsToo) {
  NewTask expires = Make("expires");
  expires.expires_in = absl::Seconds(5);
  ASSERT_TRUE(Submit(expires).ok());
  ASSERT_TRUE(Submit(Make("cancelled")).ok());
  for (const char* id : {"expires", "cancelled"}) {
    NewTask task = Make(absl::StrCat("after-", id));
    task.depends_on = {id};
    ASSERT_TRUE(Submit(task).ok());
  }
  Cancel("cancelled");
  now_ += absl::Seconds(5);
  SweepAll();
  EXPECT_EQ(Get("after-expires").status, TaskStatus::kCancelled);
  EXPECT_EQ(Get("after-cancelled").status, TaskStatus::kCancelled);
}

TEST_P(TaskStoreContract, ASweepCancelsDependentsInBoundedSteps) {
  ASSERT_TRUE(Submit(Make("root")).ok());
  for (int i = 0; i < 10; ++i) {
    NewTask leaf = Make(absl::StrCat("leaf", i));
    leaf.depends_on = {"root"};
    ASSERT_TRUE(Submit(leaf).ok());
  }
  Cancel("root");
  int calls = 0;
  bool more = true;
  for (; more && calls < 20; ++calls) {
    const SweepResult swept = Sweep(3);
    EXPECT_LE(swept.changed.size(), 3u);
    more = swept.more;
  }
  EXPECT_FALSE(more);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(Get(absl::StrCat("leaf", i)).status, TaskStatus::kCancelled);
  }
}

TEST_P(TaskStoreContract, ADependencyThatIsNoneOfTheOwnersIsUnknown) {
  ASSERT_TRUE(Submit(Make("of-bob", "bob")).ok());
  NewTask foreign = Make("t1");
  foreign.depends_on = {"of-bob"};
  NewTask unknown = Make("t1");
  unknown.depends_on = {"no-task"};
  NewTask other_tenant = Make("t1", "bob");
  other_tenant.tenant = "rival";
  other_tenant.depends_on = {"of-bob"};
  for (const NewTask& task : {foreign, unknown, other_tenant}) {
    const absl::Status refused = Submit(task).status();
    EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
    ASSERT_EQ(status::FieldViolations(refused).size(), 1u);
    EXPECT_EQ(status::FieldViolations(refused)[0].field, "depends_on");
  }
  EXPECT_TRUE(absl::IsNotFound(Await(store_->Get("t1")).status()));
}

TEST_P(TaskStoreContract, ADependencyThatHasEndedOtherwiseIsRefused) {
  ASSERT_TRUE(Submit(Make("a")).ok());
  Cancel("a");
  NewTask task = Make("b");
  task.depends_on = {"a"};
  const absl::Status refused = Submit(task).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_EQ(status::Reason(refused), task_state::kDependencyFailed);
}

TEST_P(TaskStoreContract, ADependencyOnADuplicateOfTheBatchIsOneOnTheFirstTask) {
  NewTask first = Make("first");
  first.request_id = "r";
  first.fingerprint = "f";
  ASSERT_TRUE(Submit(first).ok());
  for (const bool all_or_nothing : {false, true}) {
    NewTask again = first;
    again.task_id = absl::StrCat("again", all_or_nothing);
    NewTask next = Make(absl::StrCat("next", all_or_nothing));
    next.depends_on = {again.task_id};
    const auto results =
        Await(store_->SubmitBatch(std::vector{again, next}, all_or_nothing, now_)).value();
    ASSERT_TRUE(results[1].ok()) << results[1].status();
    EXPECT_THAT(results[1]->task.depends_on, testing::ElementsAre("first"));
    EXPECT_THAT(results[1]->task.waits_for, testing::ElementsAre("first"));
  }
}

TEST_P(TaskStoreContract, ADependentTaskAlsoWaitsForItsOwnTime) {
  ASSERT_TRUE(Submit(Make("a")).ok());
  NewTask later = Make("b");
  later.depends_on = {"a"};
  later.run_at = now_ + absl::Seconds(10);
  later.expires_in = absl::Seconds(5);
  ASSERT_TRUE(Submit(later).ok());
  Open("s1");
  ASSERT_TRUE(Succeed(KeyOf(Lease("s1")[0])).status.ok());
  SweepAll();
  EXPECT_TRUE(Lease("s1").empty());
  now_ += absl::Seconds(10);
  SweepAll();
  Open("s1");
  EXPECT_THAT(Ids(Lease("s1")), testing::ElementsAre("b")) << "its expiry counts from then";
}

TEST_P(TaskStoreContract, ARestartedDependentNoLongerWaitsForAnybody) {
  ASSERT_TRUE(Submit(Make("a")).ok());
  NewTask task = Make("b");
  task.depends_on = {"a"};
  ASSERT_TRUE(Submit(task).ok());
  Cancel("b");
  ASSERT_TRUE(Await(store_->Restart("b", now_)).ok());
  Cancel("a");
  SweepAll();
  EXPECT_EQ(Get("b").status, TaskStatus::kPending);
}

TEST_P(TaskStoreContract, ATaskThatWaitsForOthersCanBeCancelledAndIsNotReleasedAfter) {
  ASSERT_TRUE(Submit(Make("a")).ok());
  NewTask task = Make("b");
  task.depends_on = {"a"};
  ASSERT_TRUE(Submit(task).ok());
  Cancel("b");
  Open("s1");
  ASSERT_TRUE(Succeed(KeyOf(Lease("s1")[0])).status.ok());
  SweepAll();
  EXPECT_EQ(Get("b").status, TaskStatus::kCancelled);
}

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_CONTRACT_FLOW_CONTRACT_H_
