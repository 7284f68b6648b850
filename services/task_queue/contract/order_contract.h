// What every TaskStore must do: which task starts next.
#ifndef SERVICES_TASK_QUEUE_CONTRACT_ORDER_CONTRACT_H_
#define SERVICES_TASK_QUEUE_CONTRACT_ORDER_CONTRACT_H_

#include <string>
#include <vector>

#include "services/task_queue/contract/contract_fixture.h"

namespace slipstream::task_queue {

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

// Whoever submits one by one must not do better than a tenant with a backlog, nor worse.
TEST_P(TaskStoreContract, ATenantThatSubmitsOneByOneTakesTurnsToo) {
  Open("s1");
  for (int i = 0; i < 10; ++i) {
    NewTask task = Make(absl::StrCat("backlog", i));
    task.tenant = "busy";
    ASSERT_TRUE(Submit(task).ok());
  }
  int of_backlog = 0;
  for (int i = 0; i < 5; ++i) {
    NewTask task = Make(absl::StrCat("single", i), "bob");
    task.tenant = "quiet";
    ASSERT_TRUE(Submit(task).ok());
    // Until the single one is started: it never has a backlog of its own.
    for (bool started = false; !started;) {
      const auto leased = Lease("s1");
      ASSERT_EQ(leased.size(), 1u);
      started = leased[0].tenant == "quiet";
      if (!started) ++of_backlog;
    }
  }
  EXPECT_GE(of_backlog, 4);
  EXPECT_LE(of_backlog, 6);
}

// The stated maximum: for three aging steps of leasing opportunity a LOW task may be overtaken by
// its own tenant's newer ones, whatever their priority and number; after that by none.
TEST_P(TaskStoreContract, ALowTaskWaitsBehindNewerOnesForThreeAgingStepsAndNoLonger) {
  Open("s1");
  NewTask low = Make("low");
  low.priority = TaskPriority::kLow;
  ASSERT_TRUE(Submit(low).ok());
  absl::Time started = absl::InfiniteFuture();
  const absl::Time begin = now_;
  for (int i = 0; started == absl::InfiniteFuture() && i < 15; ++i) {
    NewTask urgent = Make(absl::StrCat("urgent", i));
    urgent.priority = TaskPriority::kUrgent;
    ASSERT_TRUE(Submit(urgent).ok());
    Open("s1");
    for (const TaskRecord& task : Lease("s1")) {
      if (task.task_id == "low") started = now_;
    }
    now_ += absl::Seconds(10);
  }
  EXPECT_EQ(started - begin, 3 * kContractAgingStep);
}

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_CONTRACT_ORDER_CONTRACT_H_
