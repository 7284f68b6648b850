#include "services/task_queue/memory_task_store.h"

#include <memory>

#include "services/task_queue/contract/task_store_contract.h"

namespace slipstream::task_queue {
namespace {

std::unique_ptr<TaskStore> MakeMemoryStore() {
  MemoryTaskStoreOptions options;
  options.max_tasks_count = kContractTasksCount;
  options.aging_step = kContractAgingStep;
  options.retry = kContractRetry;
  return std::make_unique<MemoryTaskStore>(options);
}

INSTANTIATE_TEST_SUITE_P(Memory, TaskStoreContract, testing::Values(MakeStore(MakeMemoryStore)));

TEST(MemoryTaskStore, RefusesArgumentsBeyondItsBytes) {
  MemoryTaskStore store({.max_bytes = 10});
  NewTask task;
  task.task_id = "t1";
  task.args = MakeBytes("12345678901");
  const auto results = Await(store.SubmitBatch({&task, 1}, false, absl::UnixEpoch())).value();
  EXPECT_EQ(status::Reason(results[0].status()), kQueueFull);
}

TEST(MemoryTaskStore, AFullOutboxDropsTheOldestAndCountsIt) {
  MemoryTaskStore store({.max_outbox_count = 2});
  for (const char* id : {"t1", "t2", "t3"}) {
    NewTask task;
    task.task_id = id;
    ASSERT_TRUE(Await(store.SubmitBatch({&task, 1}, false, absl::UnixEpoch())).value()[0].ok());
    ASSERT_TRUE(Await(store.Cancel(id, "", absl::UnixEpoch())).ok());
  }
  EXPECT_EQ(Await(store.ReadOutbox(0, 0, 10)).value().front().task.task_id, "t2");
  EXPECT_EQ(Await(store.Stats()).value().outbox_dropped_count, 1);
}

}  // namespace
}  // namespace slipstream::task_queue
