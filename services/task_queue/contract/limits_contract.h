// What every TaskStore must do: concurrency keys and the limits of types.
#ifndef SERVICES_TASK_QUEUE_CONTRACT_LIMITS_CONTRACT_H_
#define SERVICES_TASK_QUEUE_CONTRACT_LIMITS_CONTRACT_H_

#include <string>
#include <vector>

#include "services/task_queue/contract/contract_fixture.h"

namespace slipstream::task_queue {

TEST_P(TaskStoreContract, TasksOfOneConcurrencyKeyRunOneAtATimeInOrder) {
  for (int i = 0; i < 3; ++i) {
    NewTask task = Make(absl::StrCat("t", i));
    task.concurrency_key = "customer-7";
    // Within a key the order of arrival holds, whatever the priority.
    task.priority = i == 2 ? TaskPriority::kUrgent : TaskPriority::kLow;
    ASSERT_TRUE(Submit(task).ok());
    now_ += absl::Milliseconds(1);
  }
  ASSERT_TRUE(Submit(Make("free")).ok());
  Open("s1");
  const auto first = Lease("s1", 10);
  ASSERT_THAT(Ids(first), testing::UnorderedElementsAre("t0", "free"));
  EXPECT_TRUE(Lease("s1", 10).empty());
  for (const TaskRecord& task : first) ASSERT_TRUE(Succeed(KeyOf(task)).status.ok());
  const auto second = Lease("s1", 10);
  ASSERT_THAT(Ids(second), testing::ElementsAre("t1"));
  Cancel("t1");
  EXPECT_THAT(Ids(Lease("s1", 10)), testing::ElementsAre("t2")) << "a cancel gives the key up";
}

TEST_P(TaskStoreContract, AConcurrencyKeyIsTheTenantsOrTheUsersOwn) {
  const auto submit = [&](const char* id, const char* owner, const char* tenant) {
    NewTask task = Make(id, owner);
    task.tenant = tenant;
    task.concurrency_key = "k";
    ASSERT_TRUE(Submit(task).ok());
  };
  submit("a1", "alice", "acme");
  submit("b1", "bob", "acme");
  submit("c1", "carol", "other");
  submit("d1", "dave", "");
  submit("e1", "erin", "");
  Open("s1");
  EXPECT_THAT(Ids(Lease("s1", 10)), testing::UnorderedElementsAre("a1", "c1", "d1", "e1"));
}

TEST_P(TaskStoreContract, ARetryGivesItsConcurrencyKeyUpAndAReleaseKeepsItsPlace) {
  for (const char* id : {"t1", "t2"}) {
    NewTask task = Make(id);
    task.concurrency_key = "k";
    ASSERT_TRUE(Submit(task).ok());
    now_ += absl::Milliseconds(1);
  }
  Open("s1");
  const LeaseKey first = KeyOf(Lease("s1")[0]);
  ASSERT_TRUE(Await(store_->ReleaseBatch({&first, 1}, now_)).value()[0].status.ok());
  const auto again = Lease("s1", 10);
  ASSERT_THAT(Ids(again), testing::ElementsAre("t1"));
  ASSERT_TRUE(Fail(KeyOf(again[0]), true).status.ok());
  const auto other = Lease("s1", 10);
  ASSERT_THAT(Ids(other), testing::ElementsAre("t2"));
  now_ = *Get("t1").next_run_at;
  SweepAll();
  Open("s1");
  EXPECT_TRUE(Lease("s1", 10).empty()) << "t2 has the key now";
  ASSERT_TRUE(Succeed(KeyOf(other[0])).status.ok());
  EXPECT_THAT(Ids(Lease("s1", 10)), testing::ElementsAre("t1"));
}

TEST_P(TaskStoreContract, ALostWorkerGivesItsConcurrencyKeyBack) {
  for (const char* id : {"t1", "t2"}) {
    NewTask task = Make(id);
    task.concurrency_key = "k";
    ASSERT_TRUE(Submit(task).ok());
    now_ += absl::Milliseconds(1);
  }
  Open("s1");
  ASSERT_EQ(Lease("s1", 10).size(), 1u);
  now_ += absl::Seconds(15);
  SweepAll();
  Open("s2");
  EXPECT_THAT(Ids(Lease("s2", 10)), testing::ElementsAre("t1"));
}

TEST_P(TaskStoreContract, AParkedTaskThatEndsLeavesItsPlaceToTheNext) {
  for (int i = 0; i < 4; ++i) {
    NewTask task = Make(absl::StrCat("t", i));
    task.concurrency_key = "k";
    if (i == 1) task.expires_in = absl::Seconds(5);
    ASSERT_TRUE(Submit(task).ok());
    now_ += absl::Milliseconds(1);
  }
  Open("s1");
  const auto first = Lease("s1", 10);
  ASSERT_THAT(Ids(first), testing::ElementsAre("t0"));
  now_ += absl::Seconds(5);
  SweepAll();
  EXPECT_EQ(Get("t1").status, TaskStatus::kExpired);
  Cancel("t2");
  ASSERT_TRUE(Succeed(KeyOf(first[0])).status.ok());
  EXPECT_THAT(Ids(Lease("s1", 10)), testing::ElementsAre("t3"));
  const StoreStats stats = Await(store_->Stats()).value();
  EXPECT_EQ(stats.by_status[static_cast<size_t>(TaskStatus::kPending)], 0);
}

TEST_P(TaskStoreContract, AParkedTaskThatAnotherComesToDependOnStartsInItsTurn) {
  for (const char* id : {"t0", "t1"}) {
    NewTask task = Make(id);
    task.concurrency_key = "k";
    ASSERT_TRUE(Submit(task).ok());
    now_ += absl::Milliseconds(1);
  }
  NewTask dependent = Make("after t1");
  dependent.depends_on = {"t1"};
  ASSERT_TRUE(Submit(dependent).ok());
  Open("s1");
  const auto first = Lease("s1", 10);
  ASSERT_THAT(Ids(first), testing::ElementsAre("t0"));
  ASSERT_TRUE(Succeed(KeyOf(first[0])).status.ok());
  const auto second = Lease("s1", 10);
  ASSERT_THAT(Ids(second), testing::ElementsAre("t1"));
  ASSERT_TRUE(Succeed(KeyOf(second[0])).status.ok());
  SweepAll();
  EXPECT_THAT(Ids(Lease("s1", 10)), testing::ElementsAre("after t1"));
}

TEST_P(TaskStoreContract, NoMoreOfATypeRunThanItAllowsOverAllSessions) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Submit(Make(absl::StrCat(i))).ok());
  NewTask other = Make("other");
  other.task_type = "other";
  ASSERT_TRUE(Submit(other).ok());
  Open("s1");
  Open("s2");
  const std::vector<LeaseType> types = {{"echo", 2, 0}, {"other", 0, 0}};
  const auto first = LeaseTypes("s1", types, 10);
  EXPECT_THAT(Ids(first), testing::UnorderedElementsAre("0", "1", "other"));
  EXPECT_TRUE(LeaseTypes("s2", types, 10).empty());
  for (const TaskRecord& task : first) {
    if (task.task_id == "0") ASSERT_TRUE(Succeed(KeyOf(task)).status.ok());
  }
  EXPECT_THAT(Ids(LeaseTypes("s2", types, 10)), testing::ElementsAre("2"));
  EXPECT_EQ(LeaseTypes("s2", {{"echo", 3, 0}}, 10).size(), 1u) << "the limit is what is asked now";
}

TEST_P(TaskStoreContract, StartsPerMinuteComeFromABucketThatIsFullAtFirst) {
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(Submit(Make(absl::StrCat(i))).ok());
  Open("s1");
  const std::vector<LeaseType> types = {{"echo", 0, 4}};
  EXPECT_EQ(LeaseTypes("s1", types, 10).size(), 4u);
  EXPECT_TRUE(LeaseTypes("s1", types, 10).empty());
  now_ += absl::Seconds(14);
  EXPECT_TRUE(LeaseTypes("s1", types, 10).empty());
  now_ += absl::Seconds(1);
  Open("s1");
  EXPECT_EQ(LeaseTypes("s1", types, 10).size(), 1u) << "one each fifteen seconds";
  now_ += absl::Hours(1);
  SweepAll();  // the first session's tasks are lost and wait again
  Open("s2");
  EXPECT_EQ(LeaseTypes("s2", types, 10).size(), 4u) << "never more than a minute's";
}

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_CONTRACT_LIMITS_CONTRACT_H_
