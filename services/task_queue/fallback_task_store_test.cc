#include "services/task_queue/fallback_task_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libs/status/status.h"
#include "services/task_queue/contract/await.h"
#include "services/task_queue/contract/server_store.h"

namespace slipstream::task_queue {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

// The durable store is a memory store behind a link that the test cuts. Its tasks say durable:
// false as well; where a task is, is asked of the stores themselves.
class FallbackTaskStoreTest : public testing::Test {
 protected:
  void Cut() { connected_ = false, link_->away = true; }
  void Mend() { connected_ = true, link_->away = false; }

  static NewTask Make(std::string id, std::string request_id = "") {
    NewTask task;
    task.task_id = std::move(id);
    task.task_type = "echo";
    task.args = MakeBytes("args");
    task.owner = "alice";
    task.max_attempts = 3;
    task.request_id = std::move(request_id);
    return task;
  }
  absl::StatusOr<Submitted> Submit(const NewTask& task) {
    auto results = Await(store_.SubmitBatch({&task, 1}, false, now_));
    if (!results.ok()) return results.status();
    return (*results)[0];
  }
  void Open() { ASSERT_TRUE(Await(store_.OpenSession(Session(), now_)).ok()); }
  SessionLease Session() const { return {"s1", now_ + absl::Seconds(15), "worker"}; }
  bool Renew() {
    const SessionLease session = Session();
    auto renewed = Await(store_.RenewSessions({&session, 1}, now_));
    return renewed.ok() && (*renewed)[0];
  }
  std::vector<std::string> Lease(int max = 10) {
    const LeaseType type{"echo"};
    auto leased = Await(store_.LeaseBatch("s1", {&type, 1}, max, now_));
    EXPECT_TRUE(leased.ok()) << leased.status();
    std::vector<std::string> ids;
    if (!leased.ok()) return ids;
    for (TaskRecord& task : *leased) {
      ids.push_back(task.task_id);
      held_.push_back(std::move(task));
    }
    return ids;
  }
  absl::StatusOr<std::vector<Reported>> SucceedHeld() {
    std::vector<FinishRequest> requests;
    for (const TaskRecord& task : held_) {
      requests.push_back({{task.task_id, "s1", task.lease_epoch},
                          task_state::Success{MakeBytes("result"), {}, {}}});
    }
    return Await(store_.FinishBatch(requests, now_));
  }
  absl::StatusOr<SweepResult> Sweep() { return Await(store_.Sweep(now_, 1000, 0.5)); }
  void SweepAll() {
    for (auto swept = Sweep(); swept.ok() && swept->more;) swept = Sweep();
  }
  bool IsThere(const std::string& id) { return Await(link_->Get(id)).ok(); }
  TaskStatus StatusOf(const std::string& id) {
    auto task = Await(store_.Get(id));
    EXPECT_TRUE(task.ok()) << task.status();
    return task.ok() ? task->status : TaskStatus::kExpired;
  }

  absl::Time now_ = absl::FromUnixSeconds(1767225600);
  std::atomic<bool> connected_ = true;
  std::shared_ptr<CommonStore> common_ = [] {
    auto common = std::make_shared<CommonStore>();
    common->store = std::make_unique<MemoryTaskStore>(MemoryTaskStoreOptions{});
    return common;
  }();
  std::shared_ptr<ServerTaskStore> link_ = std::make_shared<ServerTaskStore>(common_);
  FallbackTaskStore store_{link_, MemoryTaskStoreOptions{},
                           FallbackOptions{.connected = [this] { return connected_.load(); }}};
  std::vector<TaskRecord> held_;
};

TEST_F(FallbackTaskStoreTest, SubmitsAreAcceptedInMemoryOnlyWhileTheDurableStoreIsAway) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  EXPECT_TRUE(IsThere("t1"));
  Cut();
  const auto accepted = Submit(Make("t2"));
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  EXPECT_FALSE(accepted->task.durable);
  EXPECT_EQ(StatusOf("t2"), TaskStatus::kPending);
  EXPECT_EQ(Await(store_.Stats())->not_durable_count, 1);
}

TEST_F(FallbackTaskStoreTest, TheSubmitThatFindsItAwayFailsAndTheNextIsAccepted) {
  link_->away = true;  // the connection looks well
  EXPECT_TRUE(absl::IsUnavailable(Submit(Make("t1")).status()));
  EXPECT_TRUE(Submit(Make("t2")).ok());
  link_->away = false;
  SweepAll();
  EXPECT_FALSE(IsThere("t1")) << "refused is refused";
  EXPECT_TRUE(IsThere("t2"));
  ASSERT_TRUE(Submit(Make("t3")).ok());
  EXPECT_TRUE(IsThere("t3"));
}

// The one whose answer was lost may be in the durable store: it must not be in memory as well.
TEST_F(FallbackTaskStoreTest, ASubmitThatMayHaveBeenMadeIsNotMadeTwice) {
  link_->loses_replies = true;
  EXPECT_TRUE(absl::IsUnavailable(Submit(Make("t1", "r1")).status()));
  Cut();
  const auto again = Submit(Make("t2", "r1"));
  EXPECT_EQ(status::Reason(again.status()), kRequestIdAway);
  EXPECT_TRUE(status::RetryAfter(again.status()).has_value());
  link_->loses_replies = false;
  Mend();
  SweepAll();
  const auto known = Submit(Make("t3", "r1"));
  ASSERT_TRUE(known.ok()) << known.status();
  EXPECT_TRUE(known->duplicate);
  EXPECT_EQ(known->task.task_id, "t1");
}

TEST_F(FallbackTaskStoreTest, WhatWaitsIsMovedAsItWasSubmittedWithItsId) {
  Cut();
  NewTask later = Make("t2");
  later.run_at = now_ + absl::Minutes(5);
  ASSERT_TRUE(Submit(Make("t1")).ok());
  ASSERT_TRUE(Submit(later).ok());
  const absl::Time submitted_at = now_;
  now_ += absl::Minutes(1);
  EXPECT_TRUE(absl::IsUnavailable(Sweep().status()));
  Mend();
  SweepAll();
  EXPECT_TRUE(IsThere("t1"));
  EXPECT_TRUE(IsThere("t2"));
  EXPECT_EQ(Await(store_.Get("t1"))->created_at, submitted_at);
  EXPECT_EQ(Await(store_.Get("t2"))->status, TaskStatus::kScheduled);
  const StoreStats stats = *Await(store_.Stats());
  EXPECT_EQ(stats.not_durable_count, 0);
  EXPECT_EQ(stats.by_status[static_cast<size_t>(TaskStatus::kPending)], 1) << "in one store only";
  EXPECT_THAT(Await(store_.ListByOwner({.owner = "alice"}))->tasks, SizeIs(2));
}

TEST_F(FallbackTaskStoreTest, AMoveWhoseAnswerWasLostIsMadeOnce) {
  Open();
  Cut();
  ASSERT_TRUE(Submit(Make("t1")).ok());
  ASSERT_TRUE(Submit(Make("t2", "r2")).ok());
  Mend();
  // The sweep itself is answered; the move's answers are lost.
  link_->loses_replies_of_submits = true;
  ASSERT_TRUE(Sweep().ok());
  EXPECT_EQ(StatusOf("t1"), TaskStatus::kPending) << "known all the same";
  EXPECT_TRUE(absl::IsUnavailable(Await(store_.Cancel("t1", "", now_)).status()));
  EXPECT_EQ(status::Reason(Submit(Make("t9", "r2")).status()), kTaskMoving);
  link_->loses_replies_of_submits = false;
  ASSERT_TRUE(Renew());
  SweepAll();
  const StoreStats stats = *Await(store_.Stats());
  EXPECT_EQ(stats.by_status[static_cast<size_t>(TaskStatus::kPending)], 2);
  EXPECT_EQ(stats.not_durable_count, 0);
  EXPECT_THAT(Lease(), UnorderedElementsAre("t1", "t2")) << "each once";
  EXPECT_THAT(Lease(), IsEmpty());
}

TEST_F(FallbackTaskStoreTest, WhatWasStartedInMemoryEndsThere) {
  Open();
  Cut();
  ASSERT_TRUE(Submit(Make("t1")).ok());
  ASSERT_TRUE(Submit(Make("t2")).ok());
  EXPECT_THAT(Lease(1), ElementsAre("t1"));
  Mend();
  SweepAll();
  EXPECT_FALSE(IsThere("t1"));
  EXPECT_TRUE(IsThere("t2"));
  ASSERT_TRUE(Renew());
  EXPECT_THAT(Lease(), ElementsAre("t2"));
  const auto done = SucceedHeld();
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_TRUE((*done)[0].status.ok() && (*done)[1].status.ok());
  EXPECT_EQ(StatusOf("t1"), TaskStatus::kSucceeded);
  EXPECT_EQ(StatusOf("t2"), TaskStatus::kSucceeded);
}

// One that failed in memory has an epoch and an attempt behind it.
TEST_F(FallbackTaskStoreTest, ARetryStaysInMemory) {
  Open();
  Cut();
  ASSERT_TRUE(Submit(Make("t1")).ok());
  ASSERT_THAT(Lease(), ElementsAre("t1"));
  const FinishRequest failed{
      {"t1", "s1", held_[0].lease_epoch},
      task_state::Failure{{"BOOM", "it broke", true}, absl::ZeroDuration(), {}, 0.5}};
  ASSERT_TRUE(Await(store_.FinishBatch({&failed, 1}, now_)).ok());
  Mend();
  SweepAll();
  EXPECT_FALSE(IsThere("t1"));
  now_ += absl::Seconds(5);
  EXPECT_THAT(Await(store_.SweepHere(now_, 100, 0.5)).changed, SizeIs(1));
  ASSERT_TRUE(Renew());
  EXPECT_THAT(Lease(), ElementsAre("t1"));
}

TEST_F(FallbackTaskStoreTest, ReportsOfTasksInMemoryDoNotWaitForTheDurableStore) {
  Open();
  ASSERT_TRUE(Submit(Make("t1")).ok());
  ASSERT_THAT(Lease(), ElementsAre("t1"));
  Cut();
  ASSERT_TRUE(Submit(Make("t2")).ok());
  ASSERT_THAT(Lease(), ElementsAre("t2"));
  auto done = SucceedHeld();
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_TRUE(absl::IsUnavailable((*done)[0].status)) << (*done)[0].status;
  EXPECT_TRUE((*done)[1].status.ok()) << (*done)[1].status;
  Mend();
  ASSERT_TRUE(Renew());
  done = SucceedHeld();
  ASSERT_TRUE(done.ok());
  EXPECT_TRUE((*done)[0].status.ok()) << (*done)[0].status;
  EXPECT_TRUE((*done)[1].repeated);
}

TEST_F(FallbackTaskStoreTest, ASessionOpenedMeanwhileIsOpenInBothAfterwards) {
  Cut();
  Open();
  EXPECT_FALSE(Renew()) << "the durable store did not answer";
  Mend();
  EXPECT_TRUE(Renew());
  ASSERT_TRUE(Submit(Make("t1")).ok());
  EXPECT_THAT(Lease(), ElementsAre("t1"));
  EXPECT_EQ(Await(store_.FindSession("s1", now_))->user, "worker");
}

TEST_F(FallbackTaskStoreTest, ARequestIdStandsForItsTaskInWhicheverStoreItIs) {
  Cut();
  ASSERT_TRUE(Submit(Make("t1", "r1")).ok());
  EXPECT_EQ(Submit(Make("t2", "r1"))->task.task_id, "t1") << "in memory, while away";
  Mend();
  EXPECT_EQ(Submit(Make("t3", "r1"))->task.task_id, "t1") << "in memory, before the move";
  SweepAll();
  ASSERT_TRUE(IsThere("t1"));
  EXPECT_EQ(Submit(Make("t4", "r1"))->task.task_id, "t1") << "moved";
  Cut();
  EXPECT_EQ(status::Reason(Submit(Make("t5", "r1")).status()), kRequestIdAway) << "moved, and away";
}

// Used at another server before: this one can't know.
TEST_F(FallbackTaskStoreTest, ATaskWhoseRequestIdTurnsOutToBeUsedIsCancelledInFavourOfTheFirst) {
  const NewTask first = Make("t1", "r1");
  ASSERT_TRUE(Await(common_->store->SubmitBatch({&first, 1}, false, now_)).ok());
  Cut();
  ASSERT_TRUE(Submit(Make("t2", "r1")).ok());
  Mend();
  SweepAll();
  const TaskRecord second = *Await(store_.Get("t2"));
  EXPECT_EQ(second.status, TaskStatus::kCancelled);
  ASSERT_TRUE(second.error.has_value());
  EXPECT_THAT(second.error->message, testing::HasSubstr("t1"));
  EXPECT_EQ(StatusOf("t1"), TaskStatus::kPending);
  const auto told = Await(store_.ReadOutbox(store_.outbox_part_count() - 1, 0, 10));
  ASSERT_THAT(*told, SizeIs(1));
  EXPECT_EQ((*told)[0].type, "task_cancelled");
}

TEST_F(FallbackTaskStoreTest, ATaskThatTheDurableStoreRefusesRunsFromMemory) {
  NewTask first = Make("t1");
  first.unique_key = "k";
  ASSERT_TRUE(Submit(first).ok());
  Cut();
  NewTask second = first;
  second.task_id = "t2";
  ASSERT_TRUE(Submit(second).ok()) << "who has the key is not known";
  Mend();
  SweepAll();
  EXPECT_FALSE(IsThere("t2"));
  EXPECT_EQ(StatusOf("t2"), TaskStatus::kPending);
  Open();
  EXPECT_THAT(Lease(), UnorderedElementsAre("t1", "t2"));
}

TEST_F(FallbackTaskStoreTest, AFlowStaysTogetherWhereItIs) {
  ASSERT_TRUE(Submit(Make("t0")).ok());
  Cut();
  NewTask apart = Make("t1");
  apart.depends_on = {"t0"};
  EXPECT_EQ(status::Reason(Submit(apart).status()), kDependencyAway);
  ASSERT_TRUE(Submit(Make("t2")).ok());
  NewTask after = Make("t3");
  after.depends_on = {"t2"};
  ASSERT_TRUE(Submit(after).ok());
  Mend();
  NewTask more = Make("t4");
  more.depends_on = {"t2"};
  ASSERT_TRUE(Submit(more).ok());
  NewTask both = Make("t5");
  both.depends_on = {"t0", "t2"};
  EXPECT_EQ(status::Reason(Submit(both).status()), kDependenciesApart);
  SweepAll();
  for (const char* id : {"t2", "t3", "t4"}) EXPECT_FALSE(IsThere(id)) << id;
  Open();
  EXPECT_THAT(Lease(), UnorderedElementsAre("t0", "t2"));
  ASSERT_TRUE(SucceedHeld().ok());
  EXPECT_THAT(Lease(), UnorderedElementsAre("t3", "t4"));
}

TEST_F(FallbackTaskStoreTest, ADebouncedTaskIsNotMovedWithoutItsNewArguments) {
  Cut();
  NewTask first = Make("t1");
  first.unique_key = "k";
  first.unique_policy = UniquePolicy::kDebounce;
  ASSERT_TRUE(Submit(first).ok());
  NewTask second = first;
  second.task_id = "t2";
  second.args = MakeBytes("newer");
  ASSERT_TRUE(Submit(second)->debounced);
  Mend();
  SweepAll();
  EXPECT_FALSE(IsThere("t1"));
  EXPECT_EQ(*Await(store_.Get("t1"))->args, "newer");
}

TEST_F(FallbackTaskStoreTest, AConcurrencyKeyThatRunsInMemoryKeepsTheOthersThere) {
  Open();
  Cut();
  for (const char* id : {"t1", "t2"}) {
    NewTask task = Make(id);
    task.concurrency_key = "k";
    ASSERT_TRUE(Submit(task).ok());
  }
  ASSERT_THAT(Lease(), ElementsAre("t1"));
  Mend();
  SweepAll();
  EXPECT_FALSE(IsThere("t2"));
  ASSERT_TRUE(Renew());
  EXPECT_THAT(Lease(), IsEmpty());
  ASSERT_TRUE(SucceedHeld().ok());
  SweepAll();
  EXPECT_TRUE(IsThere("t2"));
}

TEST_F(FallbackTaskStoreTest, WhatOnlyTheDurableStoreKnowsIsUnavailableMeanwhile) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Cut();
  ASSERT_TRUE(Submit(Make("t2")).ok());
  EXPECT_TRUE(absl::IsUnavailable(Await(store_.Get("t1")).status()));
  EXPECT_TRUE(absl::IsUnavailable(Await(store_.Cancel("t1", "", now_)).status()));
  EXPECT_TRUE(absl::IsUnavailable(Await(store_.Purge({.task_type = "*"}, now_)).status()));
  const std::string ids[] = {"t1", "t2"};
  EXPECT_TRUE(absl::IsUnavailable(Await(store_.BulkGet(ids)).status()));
  // A listing shows what is known, and says by its next page that it is not all.
  const TaskPage page = *Await(store_.ListByOwner({.owner = "alice"}));
  EXPECT_THAT(page.tasks, SizeIs(1));
  EXPECT_TRUE(absl::IsUnavailable(
      Await(store_.ListByOwner({.owner = "alice", .after = page.next})).status()));
  Mend();
  const TaskPage rest = *Await(store_.ListByOwner({.owner = "alice", .after = page.next}));
  ASSERT_THAT(rest.tasks, SizeIs(1));
  EXPECT_EQ(rest.tasks[0].task_id, "t1");
  EXPECT_THAT(*Await(store_.BulkGet(ids)),
              ElementsAre(testing::Ne(std::nullopt), testing::Ne(std::nullopt)));
}

TEST_F(FallbackTaskStoreTest, PausesAndTypesSavedMeanwhileReachTheDurableStore) {
  Cut();
  ASSERT_TRUE(Await(store_.SetPaused("echo", true)).ok());
  ASSERT_TRUE(Await(store_.SaveShared("task_types", "echo", "doc", absl::Hours(1))).ok());
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Open();
  EXPECT_THAT(Lease(), IsEmpty());
  Mend();
  SweepAll();
  EXPECT_THAT(Await(link_->Stats())->paused_task_types, ElementsAre("echo"));
  EXPECT_THAT(*Await(link_->LoadShared("task_types")), SizeIs(1));
}

TEST_F(FallbackTaskStoreTest, WhatIsPausedIsPausedInMemoryToo) {
  ASSERT_TRUE(Await(link_->SetPaused("echo", true)).ok());  // at another server
  ASSERT_TRUE(Await(store_.Stats()).ok());
  Open();
  Cut();
  ASSERT_TRUE(Submit(Make("t1")).ok());
  EXPECT_THAT(Lease(), IsEmpty());
}

// A lease whose answer was lost is told to the caller, who looks for it, though the memory had
// work.
TEST_F(FallbackTaskStoreTest, AnUnheardLeaseIsToldWithTheNextCall) {
  Open();
  Cut();
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Mend();
  link_->loses_replies = true;
  EXPECT_THAT(Lease(), ElementsAre("t1"));
  link_->loses_replies = false;
  ASSERT_TRUE(Renew());
  const LeaseType type{"echo"};
  EXPECT_TRUE(absl::IsUnavailable(Await(store_.LeaseBatch("s1", {&type, 1}, 1, now_)).status()));
  EXPECT_TRUE(Await(store_.LeaseBatch("s1", {&type, 1}, 1, now_)).ok());
}

}  // namespace
}  // namespace slipstream::task_queue
