#include "services/task_queue/task_state.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "libs/status/status.h"

namespace slipstream::task_queue::task_state {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1767225600);

TaskRecord Pending() {
  NewTask task;
  task.task_id = "t";
  task.max_attempts = 2;
  task.expires_in = absl::Seconds(10);
  return Create(task, kNow);
}

TaskRecord Running() {
  TaskRecord task = Pending();
  EXPECT_TRUE(Lease(task, "s", kNow).ok());
  return task;
}

// The whole table, so that a transition added or taken away is a change someone has to make here.
TEST(TaskState, AllowsExactlyTheseTransitions) {
  using S = TaskStatus;
  const std::set<std::pair<S, S>> allowed = {
      {S::kScheduled, S::kPending}, {S::kScheduled, S::kCancelled}, {S::kPending, S::kRunning},
      {S::kPending, S::kCancelled}, {S::kPending, S::kExpired},     {S::kRunning, S::kSucceeded},
      {S::kRunning, S::kFailed},    {S::kRunning, S::kCancelled},   {S::kRunning, S::kScheduled},
      {S::kRunning, S::kPending},   {S::kFailed, S::kPending},      {S::kCancelled, S::kPending},
      {S::kExpired, S::kPending},   {S::kPending, S::kScheduled},
  };
  for (int from = 1; from < kTaskStatusCount; ++from) {
    for (int to = 1; to < kTaskStatusCount; ++to) {
      const std::pair pair(static_cast<S>(from), static_cast<S>(to));
      EXPECT_EQ(Allowed(pair.first, pair.second), allowed.contains(pair))
          << StatusName(pair.first) << " -> " << StatusName(pair.second);
    }
  }
}

TEST(TaskState, ARefusedChangeLeavesTheRecordUntouched) {
  TaskRecord task = Running();
  ASSERT_TRUE(Succeed(task, {MakeBytes("r"), {}, {}}, kNow).ok());
  const int64_t version = task.version;
  EXPECT_EQ(status::Reason(Cancel(task, "", kNow)), kTaskFinished);
  EXPECT_EQ(status::Reason(Lease(task, "s2", kNow)), kTaskFinished);
  EXPECT_FALSE(Restart(task, kNow).ok());
  EXPECT_FALSE(Expire(task, kNow).ok());
  EXPECT_EQ(task.status, TaskStatus::kSucceeded);
  EXPECT_EQ(task.version, version);
}

TEST(TaskState, ATaskWaitsForAllItDependsOnAndEachCountsOnce) {
  NewTask task;
  task.task_id = "t";
  TaskRecord join = Create(task, kNow, {"a", "b"});
  EXPECT_EQ(join.status, TaskStatus::kScheduled);
  EXPECT_EQ(NextDeadline(join), absl::InfiniteFuture());
  EXPECT_FALSE(DependencySucceeded(join, "c", kNow));
  EXPECT_TRUE(DependencySucceeded(join, "a", kNow));
  EXPECT_FALSE(DependencySucceeded(join, "a", kNow)) << "told twice";
  EXPECT_EQ(join.status, TaskStatus::kScheduled);
  EXPECT_TRUE(DependencySucceeded(join, "b", kNow + absl::Seconds(5)));
  EXPECT_EQ(join.status, TaskStatus::kPending);
  EXPECT_EQ(join.ready_at, kNow + absl::Seconds(5));
  EXPECT_FALSE(DependencyFailed(join, "a", kNow).ok()) << "it no longer waits for that one";
}

TEST(TaskState, AFailedDependencyCancelsWhoWaitsForIt) {
  NewTask task;
  task.task_id = "t";
  TaskRecord waits = Create(task, kNow, {"a"});
  EXPECT_FALSE(DependencyFailed(waits, "b", kNow).ok());
  ASSERT_TRUE(DependencyFailed(waits, "a", kNow).ok());
  EXPECT_EQ(waits.status, TaskStatus::kCancelled);
  EXPECT_EQ(waits.error->reason, kDependencyFailed);
}

TEST(TaskState, ADebounceMovesAWaitingTaskAndNoOther) {
  TaskRecord task = Pending();
  NewTask newer;
  newer.args = MakeBytes("newer");
  newer.run_at = kNow + absl::Seconds(10);
  ASSERT_TRUE(Debounce(task, newer, kNow).ok());
  EXPECT_EQ(task.status, TaskStatus::kScheduled);
  EXPECT_EQ(task.ready_at, *newer.run_at);
  EXPECT_EQ(*task.args, "newer");
  TaskRecord running = Running();
  EXPECT_FALSE(Debounce(running, newer, kNow).ok());
}

TEST(TaskState, EachChangeIsRefusedFromAWrongState) {
  TaskRecord pending = Pending();
  EXPECT_EQ(status::Reason(Succeed(pending, {}, kNow)), kInvalidTransition);
  EXPECT_EQ(status::Reason(Release(pending)), kInvalidTransition);
  EXPECT_EQ(status::Reason(LoseLease(pending, kNow)), kInvalidTransition);
  EXPECT_EQ(status::Reason(MakeReady(pending, kNow)), kInvalidTransition);
  EXPECT_EQ(status::Reason(Progress(pending, 1, "")), kInvalidTransition);
  TaskRecord running = Running();
  EXPECT_EQ(status::Reason(Lease(running, "s2", kNow)), kInvalidTransition);
  EXPECT_EQ(status::Reason(Expire(running, kNow)), kInvalidTransition);
}

TEST(TaskState, TheLeaseIsFencedBySessionAndEpoch) {
  const TaskRecord task = Running();
  EXPECT_TRUE(CheckLease(task, "s", 1).ok());
  EXPECT_EQ(status::Reason(CheckLease(task, "s", 0)), kStaleLease);
  EXPECT_EQ(status::Reason(CheckLease(task, "s", 2)), kStaleLease);
  EXPECT_EQ(status::Reason(CheckLease(task, "other", 1)), kStaleLease);
  EXPECT_EQ(status::Reason(CheckLease(Pending(), "", 0)), kStaleLease);
}

TEST(TaskState, ProgressNeverGoesBackWithinAnAttemptAndStaysInBounds) {
  TaskRecord task = Running();
  ASSERT_TRUE(Progress(task, 60, "a").ok());
  ASSERT_TRUE(Progress(task, 30, "b").ok());
  EXPECT_EQ(task.progress, 60);
  EXPECT_EQ(task.progress_message, "b");
  ASSERT_TRUE(Progress(task, 900, "").ok());
  EXPECT_EQ(task.progress, 100);
}

TEST(TaskState, EndingClearsTheLeaseAndStartsTheResultsTime) {
  TaskRecord task = Running();
  task.result_ttl = absl::Minutes(5);
  ASSERT_TRUE(Succeed(task, {MakeBytes("r"), {}, {}}, kNow).ok());
  EXPECT_TRUE(task.session_id.empty());
  EXPECT_EQ(NextDeadline(task), kNow + absl::Minutes(5));
}

TEST(TaskState, UsageOfAllAttemptsAddsUp) {
  TaskRecord task = Running();
  ASSERT_TRUE(
      FailAttempt(task, {{"X", "", true}, {}, TaskUsage{5, 1, 2}, 0}, RetryPolicy{}, kNow).ok());
  ASSERT_TRUE(MakeReady(task, kNow).ok());
  ASSERT_TRUE(Lease(task, "s", kNow).ok());
  ASSERT_TRUE(Succeed(task, {nullptr, {}, TaskUsage{7, 1, 2}}, kNow).ok());
  EXPECT_EQ(task.usage->cost_usd_micros, 12);
  EXPECT_EQ(task.attempt, 2);
}

TEST(TaskState, ExpiryHoldsUntilTheFirstStartOnly) {
  TaskRecord task = Pending();
  EXPECT_EQ(NextDeadline(task), kNow + absl::Seconds(10));
  ASSERT_TRUE(Lease(task, "s", kNow).ok());
  ASSERT_TRUE(Release(task).ok());
  EXPECT_EQ(NextDeadline(task), absl::InfiniteFuture());
}

TEST(RetryDelay, DoublesWithJitterUpToItsMaximum) {
  const RetryPolicy policy{absl::Seconds(1), absl::Seconds(10)};
  EXPECT_EQ(RetryDelay(1, policy, 0, {}), absl::Milliseconds(500));
  EXPECT_EQ(RetryDelay(1, policy, 1, {}), absl::Seconds(1));
  EXPECT_EQ(RetryDelay(3, policy, 1, {}), absl::Seconds(4));
  EXPECT_EQ(RetryDelay(100, policy, 1, {}), absl::Seconds(10));
  EXPECT_EQ(RetryDelay(1, policy, 0, absl::Minutes(1)), absl::Minutes(1));
}

}  // namespace
}  // namespace slipstream::task_queue::task_state
