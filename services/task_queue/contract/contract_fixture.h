// A store and the few calls that the contract's tests are made of.
//
// A maker gives a fresh, empty store with room for kContractTasksCount tasks, an aging step of
// kContractAgingStep and kContractRetry.
#ifndef SERVICES_TASK_QUEUE_CONTRACT_CONTRACT_FIXTURE_H_
#define SERVICES_TASK_QUEUE_CONTRACT_CONTRACT_FIXTURE_H_

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
    ASSERT_TRUE(
        Await(store_->OpenSession({session, now_ + absl::Seconds(15), "worker"}, now_)).ok());
  }
  std::vector<TaskRecord> LeaseTypes(const std::string& session, std::vector<LeaseType> types,
                                     int max) {
    auto leased = Await(store_->LeaseBatch(session, types, max, now_));
    EXPECT_TRUE(leased.ok()) << leased.status();
    return leased.ok() ? *leased : std::vector<TaskRecord>();
  }
  std::vector<TaskRecord> Lease(const std::string& session, int max = 1,
                                std::vector<std::string> names = {"echo"}) {
    std::vector<LeaseType> types;
    for (std::string& name : names) types.push_back({std::move(name)});
    return LeaseTypes(session, std::move(types), max);
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
  Cancelled Cancel(const std::string& id) {
    auto cancelled = Await(store_->Cancel(id, "", now_));
    EXPECT_TRUE(cancelled.ok()) << cancelled.status();
    return cancelled.ok() ? *cancelled : Cancelled();
  }
  // Until there is no more to do, as the engine's loop does it.
  void SweepAll() {
    while (Sweep().more) {
    }
  }
  // A store with a part here may have no other that answers.
  SweepResult Sweep(int max_count = 1000) {
    if (!store_->has_part_here()) return Await(store_->Sweep(now_, max_count, 0.5)).value();
    SweepResult swept = Await(store_->SweepHere(now_, max_count, 0.5));
    const auto rest = Await(store_->Sweep(now_, max_count, 0.5));
    if (!rest.ok()) return swept;
    swept.changed.insert(swept.changed.end(), rest->changed.begin(), rest->changed.end());
    swept.ended_leases.insert(swept.ended_leases.end(), rest->ended_leases.begin(),
                              rest->ended_leases.end());
    swept.forgotten_count += rest->forgotten_count;
    swept.more = swept.more || rest->more;
    return swept;
  }
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
  // The part of the outbox that has entries: the tests' tasks are of one owner where it matters.
  int Part() {
    for (int part = 0; part < store_->outbox_part_count(); ++part) {
      if (!Await(store_->ReadOutbox(part, 0, 1)).value().empty()) return part;
    }
    return 0;
  }
  std::vector<std::string> OutboxTypes() {
    std::vector<std::string> types;
    for (int part = 0; part < store_->outbox_part_count(); ++part) {
      const std::vector<OutboxEntry> entries = Await(store_->ReadOutbox(part, 0, 1000)).value();
      for (const OutboxEntry& entry : entries) types.push_back(entry.type);
    }
    return types;
  }

  absl::Time now_ = absl::FromUnixSeconds(1767225600);
  std::unique_ptr<TaskStore> store_;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_CONTRACT_CONTRACT_FIXTURE_H_
