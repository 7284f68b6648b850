// What every TaskStore must do: submit, request ids, unique keys, and reads.
#ifndef SERVICES_TASK_QUEUE_CONTRACT_SUBMIT_CONTRACT_H_
#define SERVICES_TASK_QUEUE_CONTRACT_SUBMIT_CONTRACT_H_

#include <string>
#include <vector>

#include "services/task_queue/contract/contract_fixture.h"

namespace slipstream::task_queue {

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

// --- unique keys

TEST_P(TaskStoreContract, AUniqueKeyIsRejectedWhileItsTaskHasNotEnded) {
  NewTask first = Make("t1");
  first.unique_key = "report";
  NewTask second = first;
  second.task_id = "t2";
  ASSERT_TRUE(Submit(first).ok());
  const absl::Status taken = Submit(second).status();
  EXPECT_TRUE(absl::IsAlreadyExists(taken));
  EXPECT_EQ(status::Reason(taken), kUniqueKeyTaken);
  EXPECT_EQ(status::Metadata(taken, "task_id"), "t1");
  NewTask of_bob = second;
  of_bob.owner = "bob";
  of_bob.task_id = "b";
  EXPECT_TRUE(Submit(of_bob).ok()) << "each owner has keys of their own";
  Open("s1");
  const auto leased = Lease("s1", 2);
  ASSERT_EQ(leased.size(), 2u);
  EXPECT_EQ(status::Reason(Submit(second).status()), kUniqueKeyTaken) << "it runs";
  for (const TaskRecord& task : leased) ASSERT_TRUE(Succeed(KeyOf(task)).status.ok());
  EXPECT_TRUE(Submit(second).ok()) << "the key is free once its task has ended";
}

TEST_P(TaskStoreContract, AUniqueKeyIsFreeAfterEveryKindOfEnd) {
  NewTask task = Make("failed");
  task.unique_key = "k";
  task.expires_in = absl::Seconds(5);
  ASSERT_TRUE(Submit(task).ok());
  Open("s1");
  ASSERT_TRUE(Fail(KeyOf(Lease("s1")[0]), false).status.ok());
  task.task_id = "expired";
  ASSERT_TRUE(Submit(task).ok());
  now_ += absl::Seconds(5);
  SweepAll();
  EXPECT_EQ(Get("expired").status, TaskStatus::kExpired);
  task.task_id = "cancelled";
  ASSERT_TRUE(Submit(task).ok());
  Cancel("cancelled");
  task.task_id = "last";
  EXPECT_TRUE(Submit(task).ok());
}

TEST_P(TaskStoreContract, ReplaceCancelsTheWaitingTaskAndTakesItsKey) {
  NewTask first = Make("t1");
  first.unique_key = "k";
  ASSERT_TRUE(Submit(first).ok());
  NewTask waits = Make("waits");
  waits.depends_on = {"t1"};
  ASSERT_TRUE(Submit(waits).ok());
  NewTask second = first;
  second.task_id = "t2";
  second.unique_policy = UniquePolicy::kReplace;
  const auto submitted = Submit(second);
  ASSERT_TRUE(submitted.ok()) << submitted.status();
  EXPECT_EQ(submitted->task.task_id, "t2");
  ASSERT_TRUE(submitted->replaced.has_value());
  EXPECT_EQ(submitted->replaced->task_id, "t1");
  EXPECT_EQ(Get("t1").status, TaskStatus::kCancelled);
  SweepAll();
  EXPECT_EQ(Get("waits").status, TaskStatus::kCancelled);
  EXPECT_THAT(OutboxTypes(), testing::ElementsAre("task_cancelled", "task_cancelled"));
  Open("s1");
  EXPECT_THAT(Ids(Lease("s1", 5)), testing::ElementsAre("t2"));
  NewTask third = second;
  third.task_id = "t3";
  EXPECT_EQ(status::Reason(Submit(third).status()), kUniqueKeyTaken) << "t2 runs";
  EXPECT_EQ(Get("t2").status, TaskStatus::kRunning);
}

TEST_P(TaskStoreContract, DebounceGivesTheWaitingTaskTheNewArgumentsAndTime) {
  NewTask first = Make("t1");
  first.unique_key = "k";
  first.unique_policy = UniquePolicy::kDebounce;
  first.run_at = now_ + absl::Seconds(10);
  ASSERT_TRUE(Submit(first).ok());
  now_ += absl::Seconds(5);
  NewTask second = first;
  second.task_id = "t2";
  second.args = MakeBytes("newer");
  second.run_at = now_ + absl::Seconds(10);
  second.request_id = "r";
  second.fingerprint = "f";
  const auto submitted = Submit(second);
  ASSERT_TRUE(submitted.ok()) << submitted.status();
  EXPECT_TRUE(submitted->debounced);
  EXPECT_EQ(submitted->task.task_id, "t1");
  EXPECT_TRUE(absl::IsNotFound(Await(store_->Get("t2")).status()));
  EXPECT_TRUE(OutboxTypes().empty());
  now_ += absl::Seconds(5);
  SweepAll();
  Open("s1");
  EXPECT_TRUE(Lease("s1").empty()) << "its time has moved";
  const auto again = Submit(second);
  EXPECT_TRUE(again->duplicate) << "a repeated request does not move it again";
  EXPECT_EQ(again->task.task_id, "t1");
  now_ += absl::Seconds(5);
  SweepAll();
  const auto leased = Lease("s1");
  ASSERT_EQ(leased.size(), 1u);
  EXPECT_EQ(*leased[0].args, "newer");
  NewTask third = second;
  third.task_id = "t3";
  third.request_id = "";
  EXPECT_EQ(status::Reason(Submit(third).status()), kUniqueKeyTaken) << "it runs";
}

TEST_P(TaskStoreContract, DebounceMovesAReadyTaskBackToItsNewTimeAndForward) {
  NewTask task = Make("t1");
  task.unique_key = "k";
  task.unique_policy = UniquePolicy::kDebounce;
  ASSERT_TRUE(Submit(task).ok());
  task.task_id = "t2";
  task.run_at = now_ + absl::Seconds(10);
  ASSERT_TRUE(Submit(task).ok());
  Open("s1");
  EXPECT_EQ(Get("t1").status, TaskStatus::kScheduled);
  EXPECT_TRUE(Lease("s1").empty());
  task.task_id = "t3";
  task.run_at.reset();
  ASSERT_TRUE(Submit(task).ok());
  EXPECT_THAT(Ids(Lease("s1")), testing::ElementsAre("t1"));
}

TEST_P(TaskStoreContract, DebounceOfAnotherTypeIsRefused) {
  NewTask task = Make("t1");
  task.unique_key = "k";
  task.unique_policy = UniquePolicy::kDebounce;
  ASSERT_TRUE(Submit(task).ok());
  task.task_id = "t2";
  task.task_type = "other";
  EXPECT_EQ(status::Reason(Submit(task).status()), kUniqueKeyTaken);
}

TEST_P(TaskStoreContract, ARestartTakesItsUniqueKeyAgainOrIsRefused) {
  NewTask first = Make("t1");
  first.unique_key = "k";
  ASSERT_TRUE(Submit(first).ok());
  Cancel("t1");
  NewTask second = first;
  second.task_id = "t2";
  ASSERT_TRUE(Submit(second).ok());
  const absl::Status refused = Await(store_->Restart("t1", now_)).status();
  EXPECT_EQ(status::Reason(refused), kUniqueKeyTaken);
  EXPECT_EQ(status::Metadata(refused, "task_id"), "t2");
  EXPECT_EQ(Get("t1").status, TaskStatus::kCancelled);
  Cancel("t2");
  ASSERT_TRUE(Await(store_->Restart("t1", now_)).ok());
  NewTask third = first;
  third.task_id = "t3";
  EXPECT_EQ(status::Reason(Submit(third).status()), kUniqueKeyTaken);
}

TEST_P(TaskStoreContract, AllOrNothingLooksAtUniqueKeysAndDependenciesFirst) {
  NewTask holder = Make("holder");
  holder.unique_key = "k";
  ASSERT_TRUE(Submit(holder).ok());
  NewTask clashes = Make("t2");
  clashes.unique_key = "k";
  auto results = Await(store_->SubmitBatch(std::vector{Make("t1"), clashes}, true, now_)).value();
  EXPECT_FALSE(results[0].ok());
  EXPECT_EQ(status::Reason(results[1].status()), kUniqueKeyTaken);
  EXPECT_TRUE(absl::IsNotFound(Await(store_->Get("t1")).status()));
  NewTask a = Make("a"), b = Make("b");
  a.unique_key = b.unique_key = "twice";
  results = Await(store_->SubmitBatch(std::vector{a, b}, true, now_)).value();
  EXPECT_FALSE(results[0].ok());
  NewTask lost = Make("t4");
  lost.depends_on = {"nobody"};
  results = Await(store_->SubmitBatch(std::vector{Make("t3"), lost}, true, now_)).value();
  EXPECT_FALSE(results[0].ok());
  EXPECT_TRUE(absl::IsNotFound(Await(store_->Get("t3")).status()));
  NewTask follows = Make("t6");
  follows.depends_on = {"t5"};
  results = Await(store_->SubmitBatch(std::vector{Make("t5"), follows}, true, now_)).value();
  EXPECT_TRUE(results[0].ok() && results[1].ok());
}

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_CONTRACT_SUBMIT_CONTRACT_H_
